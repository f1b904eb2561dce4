// Fields of a form: each draws one attribute, holds what was typed as text, and shows what is wrong with it.
//
// A field reads and writes the store of its row (`Store`), never a value: what text means is for the server to say.
// All text from the database goes through textContent or value.

let lastId = 0
const newId = (prefix) => `${prefix}-${++lastId}`

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value)
  }
  element.append(...children.filter((child) => child !== null && child !== ""))
  return element
}

const ICONS = {
  pin: '<path d="M6 2.5h4M6.8 2.5v4L4.5 9h7L9.2 6.5v-4M8 9v4.5"/>',
  remove: '<path d="M4 4l8 8M12 4l-8 8"/>',
  error: '<path d="M8 2l6.3 11.2H1.7z"/><path d="M8 6.4v3.2M8 11.4v.01"/>',
  done: '<circle cx="8" cy="8" r="6"/><path d="M5.3 8.2l1.9 1.9 3.6-4"/>',
  add: '<path d="M8 3v10M3 8h10"/>',
  down: '<path d="M4 6l4 4 4-4"/>',
  scan: '<path d="M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3M5.5 5.5v5M8 5.5v5M10.5 5.5v5"/>',
}
function icon(name) {
  const box = document.createElement("template")
  box.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor"
    stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`
  return box.content.firstChild
}

// What was typed into one row: attribute -> text. A part's row looks up what it takes from its master there.
class Store {
  constructor(master = null, given = {}) {
    this.texts = {}
    this.watchers = new Set()
    this.master = master
    this.given = given
  }
  get(name) {
    if (this.master !== null && name in this.given) return this.master.get(this.given[name])
    return this.texts[name] ?? ""
  }
  set(changes, by = null) {
    let changed = false
    for (const [name, text] of Object.entries(changes)) {
      if (this.get(name) === text || (this.master !== null && name in this.given)) continue
      if (text === "") delete this.texts[name]
      else this.texts[name] = text
      changed = true
    }
    if (changed) for (const watcher of [...this.watchers]) watcher(changes, by)
    return changed
  }
  draft() {
    const given = Object.fromEntries(Object.keys(this.given).map((name) => [name, this.get(name)]))
    return {...given, ...this.texts}
  }
  get isEmpty() { return Object.keys(this.texts).length === 0 }
}

const pad = (number) => String(number).padStart(2, "0")
const today = (now = new Date()) => `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}`
const clock = (now = new Date()) => `${pad(now.getHours())}:${pad(now.getMinutes())}:${pad(now.getSeconds())}`
// The clock of the lab where it has named its time zone, else that of this device.
function labTime(zone, now = new Date()) {
  if (!zone) return {date: today(now), time: clock(now)}
  const text = new Intl.DateTimeFormat("sv-SE", {timeZone: zone, dateStyle: "short", timeStyle: "medium"}).format(now)
  const [date, time] = text.split(" ")
  return {date, time}
}
function zoneText(zone, now = new Date()) {
  const name = new Intl.DateTimeFormat("en", {timeZone: zone || undefined, timeZoneName: "longOffset"})
    .formatToParts(now).find((part) => part.type === "timeZoneName").value
  const offset = name === "GMT" ? "UTC+00:00" : name.replace("GMT", "UTC").replace("-", "\u2212")
  return zone ? say("{zone}, now {offset}", {zone, offset}) : say("this device is at {offset}", {offset})
}
function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))   // randomUUID() exists over HTTPS only
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}
const FILLERS = {
  date: {get label() { return say("Today") }, text: (zone) => labTime(zone).date},
  datetime: {get label() { return say("Now") }, text: (zone) => { const {date, time} = labTime(zone); return `${date} ${time}` }},
  time: {get label() { return say("Now") }, text: (zone) => labTime(zone).time},
  uuid: {get label() { return say("Generate") }, text: () => newUuid()},
}
const MOMENTS = ["date", "datetime", "time"]

const BOOLS = {true: "yes", 1: "yes", false: "no", 0: "no"}

// Stands in a draft for a text of no characters; an empty field means no value, or the default.
const EMPTY = '\0""'

// The frame of a field: label, control, note, error, doubt. Pickers have the same.
class Control {
  constructor(about, store, host, {inGrid = false} = {}) {
    this.about = about
    this.store = store
    this.host = host
    this.inGrid = inGrid
    this.names = about.attributes ?? [about.name]
    this.id = newId("field")
    this.isTouched = false
    this.errorText = ""
    this.error = make("p", {class: "problem", id: `${this.id}-error`, hidden: true})
    this.note = make("p", {class: "note", id: `${this.id}-note`, hidden: true})
    this.doubt = make("div", {class: "doubt", id: `${this.id}-doubt`, hidden: true})
    this.watch = (changes, by) => { if (by !== this) this.refresh(changes) }
    store.watchers.add(this.watch)
  }
  get title() { return this.about.unit ? `${this.about.label} (${this.about.unit})` : this.about.label }
  get isRequired() { return this.about.is_required }
  get hasText() { return this.names.some((name) => this.store.get(name) !== "") }
  get isFilled() { return this.hasText }
  get holdsFile() { return false }
  remove() { this.store.watchers.delete(this.watch); this.root.remove() }
  focus() { this.input.focus() }
  get hasFocus() { return this.root.getRootNode().activeElement === this.input }

  frame(control) {
    this.describe()
    if (this.inGrid) {
      this.input.setAttribute("aria-label", this.title)
      this.root = make("div", {class: `cell ${this.about.kind ?? ""}`}, control, this.error)
      return
    }
    const {label, comment, unit, is_required: required} = this.about
    const name = this.about.name ?? this.names.join(", ")
    const state = required ? make("span", {class: "required", title: say("A row needs a value here")}, say("required")) : ""
    this.chip = make("span", {class: "chip", hidden: true})
    const code = make("code", {title: say("Name in the database"), "aria-hidden": "true"}, name)
    const heading = make("label", {for: this.input.id, id: `${this.id}-label`},
      make("span", {class: "title"}, make("span", {class: "name"}, label), unit ? make("span", {class: "unit"}, ` (${unit})`) : ""),
      make("span", {class: "comment"}, code, comment ? ` ${comment}` : ""))
    this.marks = make("span", {class: "marks"}, this.chip, state)
    this.head = make("div", {class: "head"}, heading, this.marks)
    this.root = make("div", {class: `field ${this.isWide ? "wide" : ""}`}, this.head, control,
      make("div", {class: "below"}, this.note, this.error, this.doubt))
    this.showChip()
  }
  // What the database gets of a field that stands empty, said before it happens.
  showChip() {
    if (!this.chip) return
    const {is_required: required, is_nullable: nullable, default: byDefault, kind} = this.about
    const text = this.names.length === 1 ? this.store.get(this.names[0]) : this.hasText ? "x" : ""
    const words = text === EMPTY ? say("empty text") : text !== "" || required ? ""
      : byDefault ? say("default: {value}", {value: byDefault}) : nullable || kind === undefined ? "NULL" : kind === "text" ? say("empty text") : ""
    this.chip.textContent = this.chip.title = words
    this.chip.hidden = words === ""
  }
  describe() {
    const ids = [this.error, this.doubt, this.note].filter((part) => !part.hidden).map((part) => part.id)
    if (ids.length) this.input.setAttribute("aria-describedby", ids.join(" "))
    else this.input.removeAttribute("aria-describedby")
  }
  setError(text) {
    this.errorText = text ?? ""
    this.error.hidden = this.errorText === ""
    this.error.replaceChildren(...(this.errorText ? [icon("error"), make("span", {}, this.errorText)] : []))
    this.root.classList.toggle("wrong", this.errorText !== "")
    if (this.errorText) this.input.setAttribute("aria-invalid", "true")
    else this.input.removeAttribute("aria-invalid")
    this.describe()
    this.host.tellWrong?.()
  }
  // What is found wrong in a field that was left is heard as well, once.
  tell(text) {
    const isNew = text && text !== this.errorText
    this.setError(text)
    if (isNew) this.host.announce?.(`${this.title}: ${text}`)
  }
  // What is unusual is saved once it is ticked; another text is another question.
  setDoubt(text, isTicked = false) {
    // A check that comes late asks the same again: the box, which may have the focus, stays.
    if (text && text === this.doubtText) { this.tick.checked = isTicked; return }
    this.doubtText = text ?? ""
    this.doubt.hidden = this.doubtText === ""
    this.tick = this.doubtText ? make("input", {type: "checkbox", id: `${this.id}-tick`}) : null
    this.doubt.replaceChildren()
    if (this.tick) {
      this.tick.checked = isTicked
      this.tick.onchange = () => this.host.ticked(this)
      this.doubt.append(make("label", {for: this.tick.id}, this.tick,
        make("span", {}, this.doubtText, make("b", {}, ` ${say("Yes, save this value.")}`))))
    }
    this.root.classList.toggle("unusual", this.doubtText !== "")
    this.describe()
    this.host.tellWrong?.()
  }
  setNote(text) {
    this.note.textContent = text
    this.note.hidden = text === ""
    this.describe()
  }
  offerPin(isPinned, toggle) {
    const button = make("button", {type: "button", class: "pin", tabindex: "-1", "aria-keyshortcuts": "Alt+P"}, icon("pin"))
    const show = (pinned) => {
      button.setAttribute("aria-pressed", String(pinned))
      button.setAttribute("aria-label", say("Keep {label} for the next row", {label: this.about.label}))
      button.title = pinned ? say("Kept for the next row (Alt+P)") : say("Keep for the next row (Alt+P)")
    }
    show(isPinned)
    button.onclick = () => show(toggle())
    this.togglePin = button.onclick
    this.marks.append(button)
  }
  clear() {
    this.store.set(Object.fromEntries((this.about.own ?? this.names).map((name) => [name, ""])))
    this.isTouched = false
    this.setError("")
    this.setDoubt("")
  }
}

class Field extends Control {
  constructor(about, store, host, options) {
    super(about, store, host, options)
    this.isWide = about.is_multiline || about.kind === "file"
    this.checkedText = ""
    this.build()
    this.refresh({[about.name]: store.get(about.name)})
  }
  get text() { return this.store.get(this.about.name) }
  get shown() { return this.input.tagName !== "SELECT" && this.text === EMPTY ? "" : this.text }

  build() {
    const {kind, default: byDefault, is_nullable: nullable, is_required: required} = this.about
    if (kind === "none") {
      this.input = make("input", {id: this.id, disabled: true, value: "", placeholder: say("cannot be entered here")})
      this.frame(this.input)
      this.setNote(this.about.explanation)
      return
    }
    const common = {id: this.id, "aria-required": String(required), autocomplete: "off"}
    const hint = byDefault ? say("default: {value}", {value: byDefault}) : ""
    if (kind === "choice" || kind === "bool") {
      const empty = byDefault ? say("database default: {value}", {value: byDefault}) : nullable ? say("NULL (no value)") : say("Choose…")
      const words = kind === "bool" ? ["yes", "no"] : this.about.choices
      const shown = (word) => word === "" ? say("(empty text)") : kind !== "bool" ? word : word === "yes" ? say("yes") : say("no")
      this.input = make("select", common, make("option", {value: ""}, empty),
        ...words.map((word) => make("option", {value: word || EMPTY}, shown(word))))
    } else if (this.about.is_multiline) {
      this.input = make("textarea", {...common, rows: this.inGrid ? 1 : kind === "json" ? 4 : 3, placeholder: hint,
        spellcheck: String(kind !== "json"), class: kind === "json" ? "mono" : ""})
    } else {
      const mode = {integer: "numeric", decimal: "decimal", float: "decimal"}[kind]
      const example = {date: "YYYY-MM-DD", datetime: "YYYY-MM-DD HH:MM:SS", time: "HH:MM:SS"}[kind] ?? ""
      this.input = make("input", {...common, type: "text", inputmode: mode, placeholder: example || hint,
        spellcheck: "false", autocapitalize: "off", class: ["uuid", "path"].includes(kind) ? "mono" : ""})
    }
    this.input.addEventListener("input", () => this.typed())
    // The browser reports a change once more when a field is left: one that was told already means nothing new.
    this.input.addEventListener("change", () => { if (this.input.value !== this.shown) this.typed() })
    this.input.addEventListener("blur", () => this.left())
    const filler = FILLERS[kind]
    const extra = []
    if (filler) extra.push(this.fillButton(filler.label, () => filler.text(this.host.zone)))
    if (kind === "json" && !this.inGrid) extra.push(this.tidyButton())
    if (kind === "text" && !this.inGrid && !this.about.in_key && (required || nullable || byDefault)) extra.push(this.emptyButton())
    if (kind === "date" && !this.inGrid) extra.unshift(this.calendar())
    this.box = make("div", {class: "box"}, this.input, ...extra)
    this.frame(this.box)
    this.offers = make("div", {class: "offers", hidden: true})
    this.error.after(this.offers)
    if (!this.inGrid) this.setNote(this.standingNote())
  }
  standingNote() {
    if (this.about.kind === "datetime") {
      return this.host.zone ? say("Lab time: {zone}.", {zone: zoneText(this.host.zone)}) : say("Without a time zone; {zone}.", {zone: zoneText("")})
    }
    return this.about.explanation
  }
  fillButton(label, text) {
    const button = make("button", {type: "button", class: "fill", tabindex: "-1", "aria-keyshortcuts": "Alt+N",
      title: `${label} (Alt+N)`, "aria-label": `${label}: ${this.about.label}`}, label)
    this.fill = async () => {
      const value = await text()
      if (value) {
        this.store.set({[this.about.name]: value})
        this.typed()
        this.isNow = MOMENTS.includes(this.about.kind)
        this.left()
      }
      this.input.focus()
    }
    button.onclick = () => this.fill()
    return button
  }
  emptyButton() {
    const button = make("button", {type: "button", class: "fill", tabindex: "-1", "aria-keyshortcuts": "Alt+E",
      title: say("Store a text of no characters (Alt+E)"), "aria-label": say("Empty text: {label}", {label: this.about.label})}, "\u201c\u201d")
    this.empty = () => {
      this.isTouched = true
      this.store.set({[this.about.name]: this.text === EMPTY ? "" : EMPTY})
      this.host.changed(this)
      this.left()
      this.input.focus()
    }
    button.onclick = () => this.empty()
    return button
  }
  // JSON is read while it is typed: what it is, or where it stops being JSON.
  tidyButton() {
    const button = make("button", {type: "button", class: "fill", tabindex: "-1", hidden: true,
      "aria-label": say("Tidy: {label}", {label: this.about.label})}, say("Tidy"))
    button.onclick = () => {
      this.store.set({[this.about.name]: JSON.stringify(JSON.parse(this.text), null, 2)})
      this.typed()
      this.input.focus()
    }
    this.tidy = button
    return button
  }
  readJson() {
    if (this.about.kind !== "json" || this.inGrid) return
    const text = this.text.trim()
    let problem = null
    let value
    try { value = text ? JSON.parse(text) : null } catch (error) { problem = error }
    this.tidy.hidden = !text || problem !== null
    this.note.classList.toggle("over", problem !== null)
    if (!text) this.setNote(this.standingNote())
    else if (problem) this.setNote(say("Not yet valid JSON{place}", {place: jsonPlace(problem.message, this.text)}))
    else if (Array.isArray(value)) this.setNote(say("Valid JSON: a list of {n}", {n: String(value.length)}))
    else if (value !== null && typeof value === "object") {
      this.setNote(say("Valid JSON: {names}", {names: Object.keys(value).slice(0, 6).join(", ") || say("an empty object")}))
    } else this.setNote(say("Valid JSON"))
  }
  offerNumber(next) {
    if (this.box.querySelector(".fill")) return
    this.box.append(this.fillButton(say("Next free"), next))
  }
  calendar() {
    const picker = make("input", {type: "date", class: "calendar", tabindex: "-1", "aria-hidden": "true", title: say("Calendar")})
    picker.onchange = () => {
      if (!picker.value) return
      this.input.value = picker.value
      this.typed()
      this.left()
      this.input.focus()
    }
    picker.onclick = () => { if (/^\d{4}-\d\d-\d\d$/.test(this.text)) picker.value = this.text }
    return picker
  }
  // What was filled with the present time is so in the next row too.
  resetToNow() {
    this.store.set({[this.about.name]: FILLERS[this.about.kind].text(this.host.zone)})
    this.isNow = true
  }
  // What was typed means this; the field shows it, and says so until something else is typed.
  showReading({text, note}) {
    this.store.set({[this.about.name]: text})
    this.checkedText = text
    this.setNote(note)
    this.isRead = true
  }
  setError(text) {
    super.setError(text)
    if (this.offers) this.offerReadings()
  }
  // Numbers that a refusal names, as what may be meant, are taken with one press; the program decides on none.
  offerReadings() {
    const digits = (text) => text.replace(/\D/g, "")
    const isMarked = ["integer", "decimal", "float"].includes(this.about.kind) && /\d\D*\d/.test(this.text) && /[^\d+-]/.test(this.text)
    const words = isMarked ? this.errorText.split(/[\s;“”„]+/).map((word) => word.replace(/[.,]$/, "")) : []
    const readings = words.filter((word) => /^[+-]?\d[\d.,]*(e[+-]?\d+)?$/i.test(word) && word !== this.text && digits(word) === digits(this.text))
    this.offers.hidden = readings.length === 0
    this.offers.replaceChildren(...[...new Set(readings)].map((text) => {
      const button = make("button", {type: "button", class: "fill"}, say("Use {text}", {text}))
      button.onclick = () => {
        this.store.set({[this.about.name]: text})
        this.typed()
        this.left()
        this.input.focus()
      }
      return button
    }))
  }
  forgetReading() {
    if (!this.isRead) return
    this.isRead = false
    this.setNote(this.standingNote())
  }
  typed() {
    let text = this.input.value
    this.isNow = MOMENTS.includes(this.about.kind) && /^(now|today)$/i.test(text.trim())
    if (this.isNow) {
      text = FILLERS[this.about.kind].text(this.host.zone)
      this.input.value = text
    }
    this.isTouched = true
    this.store.set({[this.about.name]: text}, this)
    if (this.stray) this.show()
    this.forgetReading()
    this.setDoubt("")
    this.grow()
    this.count()
    this.readJson()
    this.showChip()
    this.host.changed(this)
  }
  // What the store holds once a text is typed here; of choices, the one that the text names.
  textsOf(text) {
    if (this.input.tagName === "INPUT") return {[this.about.name]: text.replace(/\s*\n\s*/g, " ")}
    return {[this.about.name]: this.input.tagName === "SELECT" ? this.choiceOf(text) : text}
  }
  choiceOf(text) {
    const options = [...this.input.options].filter((option) => option !== this.stray)
    if (text === "" || options.some(({value}) => value === text)) return text
    const wanted = (this.about.kind === "bool" && BOOLS[text.toLowerCase()]) || text.toLowerCase()
    const same = (option) => [option.value, option.textContent].some((name) => name.toLowerCase() === wanted)
    return options.find(same)?.value ?? text
  }
  // Text that is none of the choices stays in sight, as a choice that is refused: no default takes its place.
  show() {
    if (this.input.tagName === "SELECT") {
      const chosen = this.choiceOf(this.text)
      this.store.set({[this.about.name]: chosen}, this)
      this.stray?.remove()
      this.stray = [...this.input.options].some(({value}) => value === chosen) ? null : make("option", {value: chosen}, chosen)
      if (this.stray) this.input.append(this.stray)
    }
    if (this.input.value !== this.shown) this.input.value = this.shown
  }
  left() {
    this.host.left(this)
  }
  scanned(text) {
    if (this.input.tagName === "SELECT") this.store.set(this.textsOf(text))
    else this.input.value = text
    this.typed()
    this.left()
    this.host.advance(this)
  }
  refresh(changes) {
    if (!(this.about.name in changes) || this.about.kind === "none") return
    this.show()
    this.isNow = false
    this.forgetReading()
    this.setDoubt("")
    this.grow()
    this.count()
    this.readJson()
    this.showChip()
  }
  grow() {
    if (this.input.tagName !== "TEXTAREA") return
    this.input.style.height = "auto"
    const wanted = this.input.scrollHeight + 2
    if (wanted > 40) this.input.style.height = `${Math.min(wanted, 320)}px`
    else this.input.style.removeProperty("height")
  }
  count() {
    const {max_length: most, kind} = this.about
    if (!most || kind !== "text" || this.inGrid) return
    const length = [...this.text].length
    this.setNote(length > most * 0.8 ? say("{length} of {most} characters", {length, most}) : this.standingNote())
    this.note.classList.toggle("over", length > most)
  }
}

// Browsers name the place as a number of characters, or as line and column.
function jsonPlace(message, text) {
  const found = /position (\d+)/.exec(message)
  if (!found) return /end of/.test(message) ? say(": something is missing at the end") : ""
  const before = text.slice(0, Number(found[1])).split("\n")
  return say(": look at line {line}, character {character}", {line: String(before.length), character: String(before.at(-1).length + 1)})
}

function makeControl(about, store, host, options = {}) {
  if (about.type === "picker") return new Picker(about, store, host, options)
  if (about.kind === "path") return new PathField(about, store, host, options)
  return about.kind === "file" ? new FileField(about, store, host, options) : new Field(about, store, host, options)
}
