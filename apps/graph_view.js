// Draws the table diagram as SVG and reports what the visitor does with it. No dependencies.
//
// Python sends positions, never pixels of text: nodes, edges and groups change rarely and rebuild the drawing;
// status changes often and only rewrites the texts and bars that differ, so that nothing flickers and the
// focus stays where it is. Its parts are in the files graph_shapes.js, graph_camera.js and graph_input.js, which
// stand in front of this one.

export function render({model}) {
  const isStill = model.read_only
  const root = html("div", {class: "graph"})
  const canvas = html("div", {class: "canvas"}, root)
  const picture = html("div", {class: isStill ? "picture still" : "picture", role: isStill ? "img" : "group"}, canvas)
  if (!isStill) {
    const help = html("p", {class: "hidden", id: "help"}, canvas,
      say("Arrow keys follow the links, Space selects, Enter opens, plus and minus zoom, 0 shows everything."))
    picture.setAttribute("aria-describedby", help.id)
  }
  // Moved and scaled as a whole: a transform inside the SVG would lay out all its text at every step.
  const viewport = draw("svg", {class: "drawing"}, picture)
  const legend = html("div", {class: "legend"}, root)
  const graph = {
    model, root, canvas, picture, viewport, isStill,
    drawn: new Map(), // id -> what belongs to a node
    lines: [], // {edge, group}
    extent: {width: 1, height: 1},
    current: null, // id of the node in the tab order
  }
  const camera = graph.camera = makeCamera(graph)

  // ------------------------------------------------------------------ drawing
  function rebuild() {
    const focused = root.getRootNode().activeElement?.dataset?.id
    const drawn = graph.drawn = new Map()
    const lines = graph.lines = []
    const extent = graph.extent = {width: 1, height: 1}
    for (const box of [...model.nodes, ...model.groups]) {
      extent.width = Math.max(extent.width, box.x + box.width)
      extent.height = Math.max(extent.height, box.y + box.height)
    }
    viewport.replaceChildren()
    viewport.setAttribute("width", extent.width)
    viewport.setAttribute("height", extent.height)
    const [areas, wires, names, nodes] = ["areas", "wires", "names", "nodes"].map(
      name => draw("g", {class: name}, viewport))
    for (const group of model.groups) drawGroup(group, areas, names)
    for (const edge of model.edges) if (edge.points.length) lines.push(drawEdge(edge, wires))
    for (const node of model.nodes) drawn.set(node.id, drawNode(node, nodes, model.icons, isStill))
    picture.setAttribute("aria-label", sayMany("{label}, {n} table", "{label}, {n} tables", model.nodes.length, {label: model.label}))
    const {current} = graph
    graph.current = drawn.has(current) ? current : drawn.has(model.selected) ? model.selected : model.nodes[0]?.id
    if (!isStill) drawn.get(graph.current)?.group.setAttribute("tabindex", 0)
    drawLegend(legend, model, lines)
    camera.redrawn()
    for (const part of drawn.values()) {
      shorten(part.label, part.textRoom)
      for (const text of [part.name, part.bare]) fit(text, part.node.width - 24)
      if (part.parts) shorten(part.parts, part.textRoom)
    }
    // Bars of a new drawing stand where they are; only later changes glide.
    picture.classList.add("fresh")
    requestAnimationFrame(() => requestAnimationFrame(() => picture.classList.remove("fresh")))
    showAll()
    showSelected()
    showHighlight()
    if (focused) drawn.get(focused)?.group.focus()
  }

  function showAll() {
    for (const [id, part] of graph.drawn) showStatus(part, model.status[id] ?? {}, model)
  }

  function showSelected() {
    for (const [id, {group}] of graph.drawn) {
      group.classList.toggle("selected", id === model.selected)
      if (!isStill) group.setAttribute("aria-pressed", id === model.selected)
    }
    for (const {edge, group} of graph.lines) {
      const incident = model.selected !== "" && (edge.source === model.selected || edge.target === model.selected)
      group.classList.toggle("incident", incident)
      if (incident) group.parentNode.append(group) // above the others, which may share its way
    }
    if (!isStill && graph.drawn.has(model.selected)) roam(graph, model.selected)
  }

  function showHighlight() {
    const wanted = new Set(model.highlight)
    picture.classList.toggle("dimmed", wanted.size > 0)
    for (const [id, {group}] of graph.drawn) group.classList.toggle("lit", wanted.has(id))
    for (const {edge, group} of graph.lines) {
      group.classList.toggle("lit", wanted.has(edge.source) && wanted.has(edge.target))
    }
  }

  followPointer(graph)
  if (!isStill) followKeyboard(graph)

  // ------------------------------------------------------------------ life
  let visible = false
  new ResizeObserver(() => {
    if (!canvas.clientWidth || !canvas.clientHeight) return
    camera.resized(!visible)
    visible = true
  }).observe(canvas)

  // nodes, edges and groups arrive as separate events of one change.
  let scheduled = false
  const changed = () => {
    if (scheduled) return
    scheduled = true
    queueMicrotask(() => {
      scheduled = false
      rebuild()
      camera.restart(visible)
    })
  }
  for (const name of ["nodes", "edges", "groups"]) model.on(name, changed)
  model.on("status", showAll)
  model.on("highlight", showHighlight)
  model.on("selected", () => {
    showSelected()
    if (visible) camera.reveal(model.selected)
  })
  // Text can be measured only in the document, so the first drawing waits until it is there.
  model.on("after_render", rebuild)
  return root
}
