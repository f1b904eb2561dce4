// What the parts of the grid of rows (row_grid.py) are drawn with: elements, icons, buttons, and what is remembered.
// All text from the database goes through textContent or setAttribute.

const ICONS = {
  key: "M10.2 2.6a3.2 3.2 0 1 1-2.4 5.3L3 12.7V14h2v-1.4h1.5V11M10.9 5.1h.01",
  up: "M8 13V3.5M4.5 7L8 3.5 11.5 7",
  down: "M8 3v9.5M4.5 9L8 12.5 11.5 9",
  open: "M6 3.5L10.5 8 6 12.5",
  more: "M4 6.5L8 10.5l4-4",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  download: "M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10",
  clear: "M4 4l8 8M12 4l-8 8",
  first: "M11 3.5L6.5 8l4.5 4.5M4.5 3.5v9",
  back: "M10 3.5L5.5 8l4.5 4.5",
  forward: "M6 3.5L10.5 8 6 12.5",
  last: "M5 3.5L9.5 8 5 12.5M11.5 3.5v9",
  menu: "M8 3.5v.01M8 8v.01M8 12.5v.01",
  lower: "M8 3v10M4 9l4 4 4-4",
  upper: "M8 13V3M4 7l4-4 4 4",
  views: "M4 2.5h8v11l-4-3-4 3z",
  pin: "M8 9.5V14M5 9.5h6L9.8 6V2.5H6.2V6z",
  remove: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
}

// What can be asked of a column: [label, what is typed].
const TODAY = say("today")
const EMPTINESS = [[say("is empty"), say("is empty")], [say("is filled"), say("is filled")]]
const EQUALITY = [[say("is"), "="], [say("is not"), "!="]]
const ORDERED = [...EQUALITY, [say("more than"), ">"], [say("at least"), ">="], [say("less than"), "<"],
  [say("at most"), "<="], [say("from … to …"), ".."]]
const INSTANTS = [...EQUALITY, [say("after"), ">"], [say("on or after"), ">="], [say("before"), "<"],
  [say("on or before"), "<="], [say("from … to …"), ".."], [TODAY, TODAY]]
const OPERATORS = {
  text: [[say("contains"), ""], [say("is"), "="], [say("begins with"), "^"], [say("does not contain"), "!"], [say("is not"), "!="]],
  json: [[say("contains"), ""], [say("does not contain"), "!"]],
  number: ORDERED,
  moment: INSTANTS,
  time: EQUALITY,
  uuid: [[say("begins with"), ""], ...EQUALITY],
  choice: [], "yes-no": [], presence: [],
}
const EXAMPLES = {text: say("contains…"), json: say("contains…"), number: "5  >5  5..9", moment: "2026-03  >2026",
  time: "09:30:00", uuid: say("first digits")}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children)
  return element
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  for (const [key, value] of Object.entries({viewBox: "0 0 16 16", width: 16, height: 16, fill: "none",
    stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round",
    "aria-hidden": "true"})) svg.setAttribute(key, value)
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  path.setAttribute("d", ICONS[name])
  svg.append(path)
  return svg
}

function button(label, picture, onClick, {text = "", ...more} = {}) {
  const made = make("button", {type: "button", class: text ? "button" : "button square", ...more})
  if (!text) { made.setAttribute("aria-label", label); made.title = label }
  if (picture) made.append(icon(picture))
  if (text) made.append(text)
  made.addEventListener("click", onClick)
  return made
}

function copied(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text)
  // The clipboard interface exists only over HTTPS and on this machine itself.
  const area = document.createElement("textarea")
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  return done ? Promise.resolve() : Promise.reject(new Error("copy"))
}

const stored = {
  save(key, value) { try { localStorage.setItem(key, JSON.stringify(value)) } catch { /* storage may be forbidden */ } },
  load(key) { try { return JSON.parse(localStorage.getItem(key)) } catch { return null } },
}

const remembered = {
  name: () => `dj-panel-row ${location.hash}`,
  save(id) { try { sessionStorage.setItem(this.name(), id) } catch { /* storage may be forbidden */ } },
  load() { try { return sessionStorage.getItem(this.name()) } catch { return null } },
}
