// What part of the diagram is in sight: zoom, movement, the buttons for them, and the overview of the whole.

const MARGIN = 20 // px left free around the drawing by "fit"
const LARGEST = 2.5
const FIRST_PART = 0.5 // the scale of the part that is shown where all of it would be too small
const FIRST_SMALLEST = 0.4 // below this scale names can no longer be read: show a part instead of all
const FAR = 0.72 // below this scale a node shows its name and count only, as large as they fit
const DISTANT = 0.36 // and below this its name only

function makeCamera(graph) {
  const {canvas, picture, viewport} = graph
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)")
  let view = {k: 1, x: 0, y: 0}
  let touched = false // the visitor has moved the picture: do not fit it again on resize
  let animation = 0

  const size = () => ({width: canvas.clientWidth, height: canvas.clientHeight})
  const smallest = () => Math.min(0.3, fitted().k)

  function fitted() {
    const all = within(size().width)
    return isUnderTools(all) ? within(tools.offsetLeft) : all
  }
  function within(width) {
    const {height} = size()
    const k = Math.min((width - 2 * MARGIN) / graph.extent.width, (height - 2 * MARGIN) / graph.extent.height, 1.1)
    const scale = Math.max(k, 0.02)
    return {k: scale, x: (width - scale * graph.extent.width) / 2, y: (height - scale * graph.extent.height) / 2}
  }
  const isUnderTools = ({k, x, y}) => [...graph.drawn.values()].some(({node}) =>
    x + k * (node.x + node.width) > tools.offsetLeft && y + k * node.y < tools.offsetTop + tools.offsetHeight)

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
    const k = FIRST_PART
    // A picture that nobody walks about in is shown whole.
    if (graph.isStill || all.k >= FIRST_SMALLEST) return show(all)
    const {width, height} = size()
    const node = graph.drawn.get(graph.model.selected)?.node
    const x = width / 2 - k * (node ? node.x + node.width / 2 : graph.extent.width / 2)
    const y = node ? height / 2 - k * (node.y + node.height / 2) : MARGIN
    show({k, ...kept({x, y}, k)})
  }

  // Keeps some of the drawing in sight.
  function kept({x, y}, k) {
    const {width, height} = size()
    const clamp = (value, drawing, room) =>
      drawing * k <= room - 2 * MARGIN ? (room - drawing * k) / 2
        : Math.min(MARGIN, Math.max(room - MARGIN - drawing * k, value))
    return {x: clamp(x, graph.extent.width, width), y: clamp(y, graph.extent.height, height)}
  }

  function reveal(id) {
    const node = graph.drawn.get(id)?.node
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
  const tools = html("div", {class: "tools", role: "group", "aria-label": say("Zoom")}, canvas)
  const tool = (label, key, path, act) => {
    const button = html("button", {type: "button", "aria-label": label, title: graph.isStill ? label : `${label} (${key})`}, tools)
    const picture = draw("svg", {viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true"}, button)
    draw("path", {d: path}, picture)
    button.addEventListener("click", act)
  }
  tool(say("Zoom in"), "+", "M8 3.5v9M3.5 8h9", () => zoom(1.35))
  tool(say("Zoom out"), "-", "M3.5 8h9", () => zoom(1 / 1.35))
  tool(say("Show everything"), "0", "M6 2.5H2.5V6M10 2.5h3.5V6M6 13.5H2.5V10M10 13.5h3.5V10", fit)

  // An overview of what lies outside, and the way to move without dragging: a click centres the picture.
  const map = (() => {
    const holder = draw("svg", {class: "map", "aria-hidden": "true"}, canvas)
    const marks = draw("g", {}, holder)
    const frame = draw("rect", {class: "frame"}, holder)
    const go = event => {
      const box = holder.getBoundingClientRect(), {width, height} = size()
      const x = (event.clientX - box.left) / box.width * graph.extent.width
      const y = (event.clientY - box.top) / box.height * graph.extent.height
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
        const k = Math.min(150 / graph.extent.width, 110 / graph.extent.height)
        holder.setAttribute("viewBox", `0 0 ${graph.extent.width} ${graph.extent.height}`)
        holder.style.width = `${Math.max(24, graph.extent.width * k)}px`
        holder.style.height = `${Math.max(24, graph.extent.height * k)}px`
        frame.setAttribute("stroke-width", 1.5 / k)
        for (const {node} of graph.drawn.values()) {
          const {x, y, width, height} = node
          draw("rect", {x, y, width, height, class: `tier-${node.tier}`}, marks)
        }
      },
      follow() {
        const {width, height} = size()
        const hidden = view.x < -2 || view.y < -2 || view.x + view.k * graph.extent.width > width + 2 ||
          view.y + view.k * graph.extent.height > height + 2
        holder.classList.toggle("shown", hidden && width > 480 && height > 260)
        const x = Math.max(0, -view.x / view.k), y = Math.max(0, -view.y / view.k)
        frame.setAttribute("x", x)
        frame.setAttribute("y", y)
        frame.setAttribute("width", Math.max(0, Math.min(graph.extent.width, (width - view.x) / view.k) - x))
        frame.setAttribute("height", Math.max(0, Math.min(graph.extent.height, (height - view.y) / view.k) - y))
      },
    }
  })()

  return {
    zoom,
    fit,
    reveal,
    zoomAt(factor, at) {
      cancelAnimationFrame(animation)
      touched = true
      show(zoomed(factor, at))
    },
    move(dx, dy) {
      cancelAnimationFrame(animation)
      touched = true
      show({k: view.k, x: view.x + dx, y: view.y + dy})
    },
    // For another drawing: all of it, or the part around the selected table.
    restart(isVisible) {
      touched = false
      if (isVisible) first()
    },
    resized(isFirst) {
      if (isFirst || !touched) first()
      else map.follow()
    },
    redrawn: () => map.rebuild(),
  }
}
