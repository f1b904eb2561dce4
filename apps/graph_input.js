// Pointer and keyboard on the diagram: move and zoom, select and open, follow the links.

const DRAG_START = 4 // px a pointer may move and still click

const idAt = event => event.target.closest?.(".node")?.dataset.id

function followPointer(graph) {
  const {model, canvas, picture, camera} = graph
  const pointers = new Map()
  let moved = false
  const local = event => {
    const box = canvas.getBoundingClientRect()
    return {x: event.clientX - box.left, y: event.clientY - box.top}
  }

  picture.addEventListener("wheel", event => {
    if (graph.isStill && !event.ctrlKey) return // the page around it scrolls
    event.preventDefault()
    const pixels = event.deltaY * [1, 16, 240][event.deltaMode]
    camera.zoomAt(Math.exp(-Math.max(-240, Math.min(240, pixels)) * (event.ctrlKey ? 0.008 : 0.0018)), local(event))
  }, {passive: false})

  picture.addEventListener("pointerdown", event => {
    if (event.button !== 0 || (graph.isStill && event.pointerType === "touch")) return
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
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
    pointers.set(event.pointerId, now)
    if (other) {
      const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y)
      if (Number.isFinite(factor) && factor > 0) camera.zoomAt(factor, other)
    } else {
      camera.move(now.x - before.x, now.y - before.y)
    }
  })
  for (const name of ["pointerup", "pointercancel"]) {
    picture.addEventListener(name, event => {
      pointers.delete(event.pointerId)
      picture.classList.remove("dragging")
    })
  }
  if (graph.isStill) return
  picture.addEventListener("click", event => {
    if (moved) return
    model.selected = idAt(event) ?? ""
  })
  picture.addEventListener("dblclick", event => {
    const id = idAt(event)
    if (id !== undefined) model.send_msg({open: id})
  })
}

// The one table in the tab order.
function roam(graph, id) {
  if (id === graph.current) return
  graph.drawn.get(graph.current)?.group.setAttribute("tabindex", -1)
  graph.current = id
  graph.drawn.get(id).group.setAttribute("tabindex", 0)
}

function neighbour({model, drawn, lines}, id, key) {
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

function followKeyboard(graph) {
  const {model, picture, camera} = graph
  picture.addEventListener("keydown", event => {
    const id = idAt(event)
    if (id === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    const {key} = event
    if (key.startsWith("Arrow")) {
      const next = neighbour(graph, id, key)
      if (next !== null) graph.drawn.get(next).group.focus({preventScroll: true})
    } else if (key === "Enter") model.send_msg({open: id})
    else if (key === " ") model.selected = model.selected === id ? "" : id
    else if (key === "Escape") model.selected = ""
    else if (key === "+" || key === "=") camera.zoom(1.35)
    else if (key === "-") camera.zoom(1 / 1.35)
    else if (key === "0") camera.fit()
    else return
    event.preventDefault()
  })
  picture.addEventListener("focusin", event => {
    const id = idAt(event)
    if (id === undefined) return
    roam(graph, id)
    if (event.target.matches(":focus-visible")) camera.reveal(id)
  })
}
