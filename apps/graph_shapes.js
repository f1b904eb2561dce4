// The shapes of the diagram: a table, a foreign key, a schema and the legend as SVG, and the status that a table shows.
//
// All text from the database goes through textContent or setAttribute. graph_view.js puts the shapes together.

const NS = "http://www.w3.org/2000/svg"
const EDGE_STYLES = {
  primary: say("Part of the primary key"),
  secondary: say("Other foreign key"),
  renamed: say("Renamed foreign key"),
  "renamed-secondary": say("Renamed, other foreign key"),
}
const STATES = {
  done: say("done"),
  partial: say("partial"),
  pending: say("pending"),
  running: say("running"),
  error: say("error"),
  ignored: say("ignored"),
  blocked: say("blocked"),
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

// Makes letters smaller until they leave some room on both sides of their box.
function fit(text, width) {
  text.style.display = "inline" // what is not shown has no length
  const length = text.getComputedTextLength()
  if (length > width) text.setAttribute("font-size", text.getAttribute("font-size") * width / length)
  text.style.display = ""
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

function drawNode(node, parent, icons, isStill) {
  const {id, tier, width: w, height: h} = node
  const group = draw("g", {
    class: `node tier-${tier}`, "data-id": id, transform: `translate(${node.x} ${node.y})`,
    ...(isStill ? {} : {role: "button", tabindex: -1}),
  }, parent)
  draw("path", {class: "focus", d: outline(tier, w, h, 7)}, group)
  if (node.parts?.length) draw("path", {class: "sheet", d: outline(tier, w, h), transform: "translate(4 4)"}, group)
  draw("path", {class: "ring", d: outline(tier, w, h, 3)}, group)
  draw("path", {class: "shape", d: outline(tier, w, h)}, group)
  const inset = tier === "computed" ? 14 : 10
  const near = draw("g", {class: "near"}, group)
  draw("rect", {class: "tile", x: inset, y: 11, width: 30, height: 30, rx: tier === "lookup" ? 2 : 8}, near)
  const icon = draw("g", {class: "icon", transform: `translate(${inset + 7} 18)`}, near)
  icon.innerHTML = icons[tier] ?? ""
  const textX = inset + 40
  const label = draw("text", {class: "label", x: textX, y: 23}, near)
  label.textContent = node.label
  const detail = draw("text", {class: "detail", x: textX, y: 39}, near)
  let parts = null
  if (node.parts?.length) {
    draw("g", {class: "icon part", transform: `translate(${inset + 8} 45) scale(.875)`}, near)
      .innerHTML = icons.part
    parts = draw("text", {class: "detail", x: textX, y: 56}, near)
    parts.textContent = node.parts.join(", ")
  }
  const hasBar = tier === "imported" || tier === "computed"
  const centre = (h - (hasBar ? 8 : 0)) / 2
  const name = draw("text", {class: "name", x: w / 2, y: centre - 9, "font-size": 21}, group)
  const bare = draw("text", {class: "bare", x: w / 2, y: centre, "font-size": 28}, group)
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
    node, group, label, detail, parts, name, bare, count, bar, barWidth, stretches, state, badge, badgeShape, badgeText,
    textRoom: w - textX - inset - 16, shown: {},
  }
}

function setShown(part, name, value, write) {
  if (part.shown[name] !== value) {
    part.shown[name] = value
    write(value)
  }
}

// Rewrites the texts and bars of a table that differ from its status.
function showStatus(part, status, model) {
  const {node} = part
  const {done = 0, running = 0, errors = 0, total = 0, state = ""} = status
  const count = status.count ?? node.subtitle ?? ""
  const tier = model.tiers[node.tier] ?? ""
  setShown(part, "detail", count ? `${tier} · ${count}` : tier, text => {
    part.detail.textContent = text
    shorten(part.detail, part.textRoom + 16)
    part.group.classList.toggle("uncounted", !count)
    part.count.textContent = count
    shorten(part.count, node.width - 16)
  })
  setShown(part, "bar", total > 0, on => part.bar.classList.toggle("shown", on))
  let start = 0
  for (const [name, n] of [["done", done], ["running", running], ["error", errors]]) {
    const share = total > 0 ? Math.min(n / total, 1 - start) : 0
    const from = start
    setShown(part, name, `${from} ${share}`, () => {
      part.stretches[name].style.transform = `translateX(${from * part.barWidth}px) scaleX(${share})`
    })
    start += share
  }
  setShown(part, "state", state, name => {
    part.state.setAttribute("class", `state state-${name}`)
    part.state.innerHTML = model.icons[name] ?? ""
  })
  setShown(part, "badge", errors, n => {
    part.badge.classList.toggle("shown", n > 0)
    part.badgeText.textContent = n > 999 ? "! 999+" : `! ${n}`
    const width = 12 + 7 * part.badgeText.textContent.length
    part.badgeShape.setAttribute("width", width)
    part.badgeShape.setAttribute("x", -width + 10)
    part.badgeText.setAttribute("x", -width / 2 + 10)
  })
  const words = [node.label, tier, count]
  if (total > 0) words.push(say("{done} of {total} done", {done, total}))
  if (running) words.push(say("{n} running", {n: running}))
  if (errors) words.push(sayMany("{n} error", "{n} errors", errors))
  if (state && !total) words.push(STATES[state] ?? state)
  if (node.parts?.length) words.push(say("parts: {names}", {names: node.parts.join(", ")}))
  if (status.note) words.push(status.note)
  setShown(part, "muted", Boolean(status.muted), on => part.group.classList.toggle("muted", on))
  setShown(part, "words", words.filter(Boolean).join(", "), text => {
    if (part.group.hasAttribute("role")) part.group.setAttribute("aria-label", text)
    part.group.querySelector(":scope > title").textContent = text
  })
}

function drawLegend(legend, model, lines) {
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
