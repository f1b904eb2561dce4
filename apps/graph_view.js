// Draws the table diagram as SVG and reports what the visitor does with it. No dependencies.
//
// Python sends positions, never pixels of text: nodes, edges and groups change rarely and rebuild the drawing;
// status changes often and only rewrites the texts and bars that differ, so that nothing flickers and the
// focus stays where it is. All text from the database goes through textContent or setAttribute.

const NS = "http://www.w3.org/2000/svg"
const MARGIN = 28 // px left free around the drawing by "fit"
const LARGEST = 2.5
const FIRST_SMALLEST = 0.5 // below this scale names can no longer be read: show a part instead of all
const FAR = 0.72 // below this scale a node shows its name and count only, as large as they fit
const DISTANT = 0.36 // and below this its name only
const DRAG_START = 4 // px a pointer may move and still click
const EDGE_STYLES = {
  primary: "Part of the primary key",
  secondary: "Other foreign key",
  renamed: "Renamed foreign key",
  "renamed-secondary": "Renamed, other foreign key",
}

function draw(tag, attributes, parent) {
  const element = document.createElementNS(NS, tag)
  for (const name in attributes) element.setAttribute(name, attributes[name])
  if (parent) parent.append(element)
  return element
}

function html(tag, attributes, parent, text) {
  const element = document.createElement(tag)
  for (const name in attributes) element.setAttribute(name, attributes[name])
  if (text !== undefined) element.textContent = text
  if (parent) parent.append(element)
  return element
}

function outline(tier, w, h, grow = 0) {
  const x = -grow, y = -grow, W = w + 2 * grow, H = h + 2 * grow
  if (tier === "imported") {
    const c = Math.min(9, h / 3) + grow * 0.6
    return `M${x + c} ${y}H${x + W - c}L${x + W} ${y + c}V${y + H - c}L${x + W - c} ${y + H}H${x + c}` +
      `L${x} ${y + H - c}V${y + c}Z`
  }
  const radius = {lookup: 2, manual: 10, computed: 24, part: 6}[tier] ?? 6
  const r = Math.min(radius + grow, H / 2)
  return `M${x + r} ${y}H${x + W - r}a${r} ${r} 0 0 1 ${r} ${r}V${y + H - r}a${r} ${r} 0 0 1 ${-r} ${r}` +
    `H${x + r}a${r} ${r} 0 0 1 ${-r} ${-r}V${y + r}a${r} ${r} 0 0 1 ${r} ${-r}Z`
}

function shorten(text, width) {
  // Cuts what is too long for its box; the name in full is in the title and the accessible name.
  const full = text.textContent
  if (text.getComputedTextLength() <= width) return
  let low = 0, high = full.length
  while (low < high) {
    const middle = (low + high + 1) >> 1
    text.textContent = full.slice(0, middle).trimEnd() + "…"
    if (text.getComputedTextLength() <= width) low = middle
    else high = middle - 1
  }
  text.textContent = full.slice(0, low).trimEnd() + "…"
}

function curve(points) {
  let d = `M${points[0]}`
  for (let i = 1; i + 2 < points.length; i += 3) d += `C${points[i]} ${points[i + 1]} ${points[i + 2]}`
  return d
}

function arrow(points) {
  const [x, y] = points[points.length - 1], [fromX, fromY] = points[points.length - 2]
  const length = Math.hypot(x - fromX, y - fromY) || 1
  const ux = (x - fromX) / length, uy = (y - fromY) / length
  const backX = x - 7 * ux, backY = y - 7 * uy
  return `M${x} ${y}L${backX - 4 * uy} ${backY + 4 * ux}L${backX + 4 * uy} ${backY - 4 * ux}Z`
}

export function render({model}) {
  const root = html("div", {class: "graph"})
  const canvas = html("div", {class: "canvas"}, root)
  const help = html("p", {class: "hidden", id: "help"}, canvas,
    "Arrow keys follow the links, Space selects, Enter opens, plus and minus zoom, 0 shows everything.")
  const picture = html("div", {class: "picture", role: "group", "aria-describedby": help.id}, canvas)
  // Moved and scaled as a whole: a transform inside the SVG would lay out all its text at every step.
  const viewport = draw("svg", {class: "drawing"}, picture)
  const legend = html("div", {class: "legend"}, root)
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)")

  let drawn = new Map() // id -> what belongs to a node
  let lines = [] // {edge, group}
  let extent = {width: 1, height: 1}
  let view = {k: 1, x: 0, y: 0}
  let current = null // id of the node in the tab order
  let touched = false // the visitor has moved the picture: do not fit it again on resize
  let animation = 0

  // ------------------------------------------------------------------ view
  const size = () => ({width: canvas.clientWidth, height: canvas.clientHeight})
  const smallest = () => Math.min(0.3, fitted().k)

  function fitted() {
    const {width, height} = size()
    const k = Math.min((width - 2 * MARGIN) / extent.width, (height - 2 * MARGIN) / extent.height, 1.1)
    const scale = Math.max(k, 0.02)
    return {k: scale, x: (width - scale * extent.width) / 2, y: (height - scale * extent.height) / 2}
  }

  function show(next) {
    view = next
    viewport.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.k})`
    picture.classList.toggle("far", view.k < FAR)
    picture.classList.toggle("distant", view.k < DISTANT)
    // Only the names of groups depend on the scale: a property of the whole picture would restyle all of it.
    if (view.k < FAR) viewport.querySelector(":scope > .names")?.style.setProperty("--scale", view.k.toFixed(1))
    map.follow()
  }

  function glide(next) {
    cancelAnimationFrame(animation)
    if (calm.matches) return show(next)
    const from = view, began = performance.now()
    const step = now => {
      const t = Math.min(1, (now - began) / 160), s = 1 - (1 - t) ** 3
      show({k: from.k + s * (next.k - from.k), x: from.x + s * (next.x - from.x), y: from.y + s * (next.y - from.y)})
      if (t < 1) animation = requestAnimationFrame(step)
    }
    animation = requestAnimationFrame(step)
  }

  function zoomed(factor, at) {
    const k = Math.min(LARGEST, Math.max(smallest(), view.k * factor)), ratio = k / view.k
    return {k, x: at.x - ratio * (at.x - view.x), y: at.y - ratio * (at.y - view.y)}
  }

  function zoom(factor) {
    touched = true
    const {width, height} = size()
    glide(zoomed(factor, {x: width / 2, y: height / 2}))
  }

  function fit() {
    touched = false
    glide(fitted())
  }

  function first() {
    const all = fitted()
    if (all.k >= FIRST_SMALLEST) return show(all)
    const {width, height} = size(), k = FIRST_SMALLEST
    const node = drawn.get(model.selected)?.node
    const x = width / 2 - k * (node ? node.x + node.width / 2 : extent.width / 2)
    const y = node ? height / 2 - k * (node.y + node.height / 2) : MARGIN
    show({k, ...kept({x, y}, k)})
  }

  // Keeps some of the drawing in sight.
  function kept({x, y}, k) {
    const {width, height} = size()
    const clamp = (value, drawing, room) =>
      drawing * k <= room - 2 * MARGIN ? (room - drawing * k) / 2
        : Math.min(MARGIN, Math.max(room - MARGIN - drawing * k, value))
    return {x: clamp(x, extent.width, width), y: clamp(y, extent.height, height)}
  }

  function reveal(id) {
    const node = drawn.get(id)?.node
    if (!node) return
    const {width, height} = size(), pad = 24
    const left = view.x + view.k * node.x, top = view.y + view.k * node.y
    const right = left + view.k * node.width, bottom = top + view.k * node.height
    const dx = left < pad ? pad - left : right > width - pad ? width - pad - right : 0
    const dy = top < pad ? pad - top : bottom > height - pad ? height - pad - bottom : 0
    if (dx || dy) {
      touched = true
      glide({k: view.k, x: view.x + dx, y: view.y + dy})
    }
  }

  // ------------------------------------------------------------------ controls
  const tools = html("div", {class: "tools", role: "group", "aria-label": "Zoom"}, canvas)
  const tool = (label, key, path, act) => {
    const button = html("button", {type: "button", "aria-label": label, title: `${label} (${key})`}, tools)
    const picture = draw("svg", {viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true"}, button)
    draw("path", {d: path}, picture)
    button.addEventListener("click", act)
  }
  tool("Zoom in", "+", "M8 3.5v9M3.5 8h9", () => zoom(1.35))
  tool("Zoom out", "-", "M3.5 8h9", () => zoom(1 / 1.35))
  tool("Show everything", "0", "M6 2.5H2.5V6M10 2.5h3.5V6M6 13.5H2.5V10M10 13.5h3.5V10", fit)

  // An overview of what lies outside, and the way to move without dragging: a click centres the picture.
  const map = (() => {
    const holder = draw("svg", {class: "map", "aria-hidden": "true"}, canvas)
    const marks = draw("g", {}, holder)
    const frame = draw("rect", {class: "frame"}, holder)
    const go = event => {
      const box = holder.getBoundingClientRect(), {width, height} = size()
      const x = (event.clientX - box.left) / box.width * extent.width
      const y = (event.clientY - box.top) / box.height * extent.height
      touched = true
      show({k: view.k, ...kept({x: width / 2 - view.k * x, y: height / 2 - view.k * y}, view.k)})
    }
    holder.addEventListener("pointerdown", event => {
      holder.setPointerCapture(event.pointerId)
      go(event)
      event.stopPropagation()
    })
    holder.addEventListener("pointermove", event => {
      if (holder.hasPointerCapture(event.pointerId)) go(event)
    })
    return {
      rebuild() {
        marks.replaceChildren()
        const k = Math.min(150 / extent.width, 110 / extent.height)
        holder.setAttribute("viewBox", `0 0 ${extent.width} ${extent.height}`)
        holder.style.width = `${Math.max(24, extent.width * k)}px`
        holder.style.height = `${Math.max(24, extent.height * k)}px`
        frame.setAttribute("stroke-width", 1.5 / k)
        for (const {node} of drawn.values()) {
          const {x, y, width, height} = node
          draw("rect", {x, y, width, height, class: `tier-${node.tier}`}, marks)
        }
      },
      follow() {
        const {width, height} = size()
        const hidden = view.x < -2 || view.y < -2 || view.x + view.k * extent.width > width + 2 ||
          view.y + view.k * extent.height > height + 2
        holder.classList.toggle("shown", hidden && width > 480 && height > 260)
        const x = Math.max(0, -view.x / view.k), y = Math.max(0, -view.y / view.k)
        frame.setAttribute("x", x)
        frame.setAttribute("y", y)
        frame.setAttribute("width", Math.max(0, Math.min(extent.width, (width - view.x) / view.k) - x))
        frame.setAttribute("height", Math.max(0, Math.min(extent.height, (height - view.y) / view.k) - y))
      },
    }
  })()

  // ------------------------------------------------------------------ drawing
  function rebuild() {
    const focused = root.getRootNode().activeElement?.dataset?.id
    drawn = new Map()
    lines = []
    extent = {width: 1, height: 1}
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
    for (const node of model.nodes) drawn.set(node.id, drawNode(node, nodes))
    picture.setAttribute("aria-label", `${model.label}, ${model.nodes.length} tables`)
    current = drawn.has(current) ? current : drawn.has(model.selected) ? model.selected : model.nodes[0]?.id
    drawn.get(current)?.group.setAttribute("tabindex", 0)
    drawLegend()
    map.rebuild()
    for (const part of drawn.values()) {
      shorten(part.label, part.textRoom)
      if (part.parts) shorten(part.parts, part.textRoom)
    }
    // Bars of a new drawing stand where they are; only later changes glide.
    picture.classList.add("fresh")
    requestAnimationFrame(() => requestAnimationFrame(() => picture.classList.remove("fresh")))
    showStatus()
    showSelected()
    showHighlight()
    if (focused) drawn.get(focused)?.group.focus()
  }

  function drawGroup(group, areas, names) {
    const {x, y, width, height} = group
    draw("rect", {x, y, width, height, rx: 10}, areas)
    const text = draw("text", {x: x + 12, y: y + 20}, names)
    text.textContent = group.label
    shorten(text, width - 24)
    draw("title", {}, text).textContent = group.label
  }

  function drawEdge(edge, parent) {
    const group = draw("g", {class: `edge ${edge.style}`}, parent)
    const d = curve(edge.points)
    const line = draw("path", {class: "line", d}, group)
    draw("path", {class: "arrow", d: arrow(edge.points)}, group)
    if (edge.style.startsWith("renamed")) {
      const {x, y} = line.getPointAtLength(line.getTotalLength() / 2)
      draw("circle", {class: "renaming", cx: x, cy: y, r: 4}, group)
    }
    draw("path", {class: "hit", d}, group)
    draw("title", {}, group).textContent = edge.title || EDGE_STYLES[edge.style]
    return {edge, group}
  }

  function drawNode(node, parent) {
    const {id, tier, width: w, height: h} = node
    const group = draw("g", {
      class: `node tier-${tier}`, role: "button", tabindex: -1, "data-id": id,
      transform: `translate(${node.x} ${node.y})`,
    }, parent)
    draw("path", {class: "focus", d: outline(tier, w, h, 7)}, group)
    if (node.parts?.length) draw("path", {class: "sheet", d: outline(tier, w, h), transform: "translate(4 4)"}, group)
    draw("path", {class: "ring", d: outline(tier, w, h, 3)}, group)
    draw("path", {class: "shape", d: outline(tier, w, h)}, group)
    const inset = tier === "computed" ? 14 : 10
    const near = draw("g", {class: "near"}, group)
    draw("rect", {class: "tile", x: inset, y: 11, width: 30, height: 30, rx: tier === "lookup" ? 2 : 8}, near)
    const icon = draw("g", {class: "icon", transform: `translate(${inset + 7} 18)`}, near)
    icon.innerHTML = model.icons[tier] ?? ""
    const textX = inset + 40
    const label = draw("text", {class: "label", x: textX, y: 23}, near)
    label.textContent = node.label
    const detail = draw("text", {class: "detail", x: textX, y: 39}, near)
    let parts = null
    if (node.parts?.length) {
      draw("g", {class: "icon part", transform: `translate(${inset + 8} 45) scale(.875)`}, near)
        .innerHTML = model.icons.part
      parts = draw("text", {class: "detail", x: textX, y: 56}, near)
      parts.textContent = node.parts.join(", ")
    }
    const hasBar = tier === "imported" || tier === "computed"
    const centre = (h - (hasBar ? 8 : 0)) / 2
    const fitting = (text, most) => Math.min(most, (w - 20) / (0.62 * Math.max(4, text.length)))
    const name = draw("text", {class: "name", x: w / 2, y: centre - 9, "font-size": fitting(node.label, 20)}, group)
    const bare = draw("text", {class: "bare", x: w / 2, y: centre, "font-size": fitting(node.label, 28)}, group)
    const count = draw("text", {class: "count", x: w / 2, y: centre + 13}, group)
    name.textContent = bare.textContent = node.label
    const barX = tier === "computed" ? 20 : 12
    const bar = draw("g", {class: "bar", transform: `translate(${barX} ${h - 11})`}, group)
    const barWidth = w - 2 * barX
    draw("rect", {class: "track", width: barWidth, height: 5, rx: 2.5}, bar)
    const stretches = {}
    for (const name of ["done", "running", "error"]) {
      stretches[name] = draw("rect", {class: `stretch state-${name}`, height: 5, rx: 2, width: barWidth}, bar)
    }
    const state = draw("g", {class: "state", transform: `translate(${w - inset - 14} 11) scale(.875)`}, near)
    const corner = draw("g", {transform: `translate(${w - 4} 0)`}, group)
    const badge = draw("g", {class: "badge"}, corner)
    const badgeShape = draw("rect", {y: -10, height: 20, rx: 10}, badge)
    const badgeText = draw("text", {y: 4}, badge)
    draw("title", {}, group)
    return {
      node, group, label, detail, parts, count, bar, barWidth, stretches, state, badge, badgeShape, badgeText,
      textRoom: w - textX - inset - 16, shown: {},
    }
  }

  // ------------------------------------------------------------------ status
  const set = (part, name, value, write) => {
    if (part.shown[name] !== value) {
      part.shown[name] = value
      write(value)
    }
  }

  function showStatus() {
    for (const [id, part] of drawn) {
      const {node} = part, status = model.status[id] ?? {}
      const {done = 0, running = 0, errors = 0, total = 0, state = ""} = status
      const count = status.count ?? node.subtitle ?? ""
      const tier = model.tiers[node.tier] ?? ""
      const number = n => n.toLocaleString("en")
      set(part, "detail", count ? `${tier} · ${count}` : tier, text => {
        part.detail.textContent = text
        shorten(part.detail, part.textRoom + 16)
        part.group.classList.toggle("uncounted", !count)
        part.count.textContent = count
        shorten(part.count, node.width - 16)
      })
      set(part, "bar", total > 0, on => part.bar.classList.toggle("shown", on))
      let start = 0
      for (const [name, n] of [["done", done], ["running", running], ["error", errors]]) {
        const share = total > 0 ? Math.min(n / total, 1 - start) : 0
        const from = start
        set(part, name, `${from} ${share}`, () => {
          part.stretches[name].style.transform = `translateX(${from * part.barWidth}px) scaleX(${share})`
        })
        start += share
      }
      set(part, "state", state, name => {
        part.state.setAttribute("class", `state state-${name}`)
        part.state.innerHTML = model.icons[name] ?? ""
      })
      set(part, "badge", errors, n => {
        part.badge.classList.toggle("shown", n > 0)
        part.badgeText.textContent = n > 999 ? "! 999+" : `! ${n}`
        const width = 12 + 7 * part.badgeText.textContent.length
        part.badgeShape.setAttribute("width", width)
        part.badgeShape.setAttribute("x", -width + 10)
        part.badgeText.setAttribute("x", -width / 2 + 10)
      })
      const words = [node.label, tier, count]
      if (total > 0) words.push(`${number(done)} of ${number(total)} done`)
      if (running) words.push(`${number(running)} running`)
      if (errors) words.push(errors === 1 ? "1 error" : `${number(errors)} errors`)
      if (state && !total) words.push(state)
      if (node.parts?.length) words.push(`parts: ${node.parts.join(", ")}`)
      set(part, "words", words.filter(Boolean).join(", "), text => {
        part.group.setAttribute("aria-label", text)
        part.group.querySelector(":scope > title").textContent = text
      })
    }
  }

  function showSelected() {
    for (const [id, {group}] of drawn) {
      group.classList.toggle("selected", id === model.selected)
      group.setAttribute("aria-pressed", id === model.selected)
    }
    for (const {edge, group} of lines) {
      const incident = model.selected !== "" && (edge.source === model.selected || edge.target === model.selected)
      group.classList.toggle("incident", incident)
      if (incident) group.parentNode.append(group) // above the others, which may share its way
    }
    if (drawn.has(model.selected)) roam(model.selected)
  }

  function showHighlight() {
    const wanted = new Set(model.highlight)
    picture.classList.toggle("dimmed", wanted.size > 0)
    for (const [id, {group}] of drawn) group.classList.toggle("lit", wanted.has(id))
    for (const {edge, group} of lines) {
      group.classList.toggle("lit", wanted.has(edge.source) && wanted.has(edge.target))
    }
  }

  function drawLegend() {
    legend.replaceChildren()
    const tiers = new Set(model.nodes.map(node => node.tier))
    if (model.nodes.some(node => node.parts?.length)) tiers.add("part")
    const row = (width, text) => {
      const item = html("span", {class: "item"}, legend)
      const swatch = draw("svg", {width, height: 16, "aria-hidden": "true"}, item)
      html("span", {}, item, text)
      return swatch
    }
    for (const tier of Object.keys(model.tiers).filter(name => tiers.has(name))) {
      const swatch = row(26, model.tiers[tier])
      draw("path", {class: `swatch tier-${tier}`, d: outline(tier, 23, 13), transform: "translate(1.5 1.5)"}, swatch)
      draw("g", {class: `icon tier-${tier}`, transform: "translate(8 3) scale(.625)"}, swatch)
        .innerHTML = model.icons[tier]
    }
    const styles = new Set(lines.map(({edge}) => edge.style))
    for (const style of Object.keys(EDGE_STYLES).filter(name => styles.has(name))) {
      const swatch = row(30, EDGE_STYLES[style]), group = draw("g", {class: `edge ${style}`}, swatch)
      draw("path", {class: "line", d: "M1 8H23"}, group)
      draw("path", {class: "arrow", d: "M29 8l-7-4v8z"}, group)
      if (style.startsWith("renamed")) draw("circle", {class: "renaming", cx: 12, cy: 8, r: 4}, group)
    }
    legend.hidden = !legend.childElementCount
  }

  // ------------------------------------------------------------------ pointer
  const pointers = new Map()
  let moved = false
  const local = event => {
    const box = canvas.getBoundingClientRect()
    return {x: event.clientX - box.left, y: event.clientY - box.top}
  }
  const idAt = event => event.target.closest?.(".node")?.dataset.id

  picture.addEventListener("wheel", event => {
    event.preventDefault()
    cancelAnimationFrame(animation)
    touched = true
    const pixels = event.deltaY * [1, 16, 240][event.deltaMode]
    show(zoomed(Math.exp(-Math.max(-240, Math.min(240, pixels)) * (event.ctrlKey ? 0.008 : 0.0018)), local(event)))
  }, {passive: false})

  picture.addEventListener("pointerdown", event => {
    if (event.button !== 0) return
    pointers.set(event.pointerId, local(event))
    if (pointers.size === 1) moved = false
  })
  picture.addEventListener("pointermove", event => {
    const before = pointers.get(event.pointerId)
    if (!before) return
    const now = local(event)
    if (!moved) {
      if (Math.hypot(now.x - before.x, now.y - before.y) < DRAG_START) return
      moved = true
      // Only now: a capture from the start would turn every click on a node into one on the picture.
      picture.setPointerCapture(event.pointerId)
      picture.classList.add("dragging")
    }
    cancelAnimationFrame(animation)
    touched = true
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
    pointers.set(event.pointerId, now)
    if (other) {
      const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y)
      if (Number.isFinite(factor) && factor > 0) show(zoomed(factor, other))
    } else {
      show({k: view.k, x: view.x + now.x - before.x, y: view.y + now.y - before.y})
    }
  })
  for (const name of ["pointerup", "pointercancel"]) {
    picture.addEventListener(name, event => {
      pointers.delete(event.pointerId)
      picture.classList.remove("dragging")
    })
  }
  picture.addEventListener("click", event => {
    if (moved) return
    model.selected = idAt(event) ?? ""
  })
  picture.addEventListener("dblclick", event => {
    const id = idAt(event)
    if (id !== undefined) model.send_msg({open: id})
  })

  // ------------------------------------------------------------------ keyboard
  function roam(id) {
    if (id === current) return
    drawn.get(current)?.group.setAttribute("tabindex", -1)
    current = id
    drawn.get(id).group.setAttribute("tabindex", 0)
  }

  function neighbour(id, key) {
    const here = drawn.get(id).node
    const centre = node => ({x: node.x + node.width / 2, y: node.y + node.height / 2})
    const origin = centre(here)
    const forth = {ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0]}[key]
    const along = model.direction === "TB" ? forth[1] : forth[0] // +1 to children, -1 to parents, 0 in the rank
    const nearest = (candidates, rate) => {
      let best = null, least = Infinity
      for (const node of candidates) {
        const {x, y} = centre(node)
        const ahead = (x - origin.x) * forth[0] + (y - origin.y) * forth[1]
        const aside = Math.abs((x - origin.x) * forth[1]) + Math.abs((y - origin.y) * forth[0])
        if (node.id !== id && rate(ahead, aside) < least) [best, least] = [node.id, rate(ahead, aside)]
      }
      return best
    }
    if (along) {
      const linked = lines.map(({edge}) => edge)
        .filter(edge => (along > 0 ? edge.source : edge.target) === id)
        .map(edge => drawn.get(along > 0 ? edge.target : edge.source)?.node).filter(Boolean)
      return nearest(linked, (_, aside) => aside)
    }
    const all = [...drawn.values()].map(part => part.node)
    return nearest(all.filter(node => node.rank === here.rank), ahead => ahead > 0 ? ahead : Infinity)
  }

  picture.addEventListener("keydown", event => {
    const id = idAt(event)
    if (id === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    const {key} = event
    if (key.startsWith("Arrow")) {
      const next = neighbour(id, key)
      if (next !== null) drawn.get(next).group.focus({preventScroll: true})
    } else if (key === "Enter") model.send_msg({open: id})
    else if (key === " ") model.selected = model.selected === id ? "" : id
    else if (key === "Escape") model.selected = ""
    else if (key === "+" || key === "=") zoom(1.35)
    else if (key === "-") zoom(1 / 1.35)
    else if (key === "0") fit()
    else return
    event.preventDefault()
  })
  picture.addEventListener("focusin", event => {
    const id = idAt(event)
    if (id === undefined) return
    roam(id)
    if (event.target.matches(":focus-visible")) reveal(id)
  })

  // ------------------------------------------------------------------ life
  let visible = false
  new ResizeObserver(() => {
    const {width, height} = size()
    if (!width || !height) return
    if (!visible || !touched) first()
    else map.follow()
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
      touched = false
      if (visible) first()
    })
  }
  for (const name of ["nodes", "edges", "groups"]) model.on(name, changed)
  model.on("status", showStatus)
  model.on("highlight", showHighlight)
  model.on("selected", () => {
    showSelected()
    if (visible) reveal(model.selected)
  })
  // Text can be measured only in the document, so the first drawing waits until it is there.
  model.on("after_render", rebuild)
  return root
}
