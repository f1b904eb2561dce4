// A part table under its master: rows of controls. Tab moves right, Enter moves down, and at the end adds a row.

// Under this name the draft of a row says which row it was when the form was opened.
const ORIGIN = "@"

class Grid {
  constructor(about, master, host) {
    this.about = about
    this.master = master
    this.host = host
    this.rows = []
    this.id = newId("grid")
    const heads = about.columns.map((column) => make("th", {scope: "col"},
      make("span", {class: "name"}, column.label), column.unit ? make("span", {class: "unit"}, ` (${column.unit})`) : "",
      column.is_required ? make("span", {class: "required", title: say("A row needs a value here")}, " ", say("required")) : "",
      column.comment ? make("span", {class: "comment"}, column.comment) : ""))
    this.body = make("tbody")
    this.table = make("table", {"aria-labelledby": `${this.id}-title`},
      make("thead", {}, make("tr", {}, make("th", {class: "number", scope: "col"}, make("span", {class: "hidden"}, say("Row"))),
        ...heads, make("th", {class: "tools"}, make("span", {class: "hidden"}, say("Remove"))))), this.body)
    this.wrapper = make("div", {class: "scroll", hidden: true}, this.table)
    this.error = make("p", {class: "problem", role: "alert", hidden: true})
    this.add = make("button", {type: "button", class: "quiet"}, icon("add"), say("Add row to {label}", {label: about.label}))
    this.add.onclick = () => this.addRow({}, true)
    this.root = make("section", {class: "part", "aria-labelledby": `${this.id}-title`},
      make("h3", {id: `${this.id}-title`}, about.label),
      about.comment ? make("p", {class: "comment"}, about.comment) : "",
      this.wrapper, this.error, make("div", {class: "actions"}, this.add,
        make("p", {class: "note", hidden: Boolean(about.blocker)}, say("Cells copied in a spreadsheet can be pasted into a cell, or onto this button."))))
    this.root.addEventListener("paste", (event) => pasteBlock(this, event))
    if (about.blocker) {
      this.add.disabled = true
      this.error.textContent = about.blocker
      this.error.hidden = false
    }
  }
  addRow(texts = {}, isNew = false, isEntered = isNew) {
    const store = new Store(this.master, this.about.given)
    const row = {store, controls: [], cells: []}
    if (isNew && this.about.counter) {
      const used = this.rows.map((other) => Number(other.store.get(this.about.counter))).filter(Number.isSafeInteger)
      store.set({[this.about.counter]: String(used.length ? Math.max(...used) + 1 : 1)})
      row.suggested = store.get(this.about.counter)
    }
    store.set(texts)
    // What a cell asks is about this part; all else is the form's.
    const {host: form, about: {table}} = this
    const host = {
      form,
      table,
      zone: form.zone,
      maxBytes: form.maxBytes,
      uploading: (step) => form.uploading(step),
      request: (kind, data = {}, ...timeout) => form.request(kind, {...data, table}, ...timeout),
      changed: (control) => form.changed(control),
      left: (control) => form.left(control),
      announce: (text) => form.announce(text),
      tellWrong: () => form.tellWrong(),
      hasFocus: (element) => form.hasFocus(element),
      entered: (control) => this.down(row, control),
    }
    row.controls = this.about.columns.map((column) => makeControl(column, store, host, {inGrid: true}))
    const remove = make("button", {type: "button", class: "icon-button", tabindex: "-1", "aria-keyshortcuts": "Control+Delete",
      title: say("Remove this row (Ctrl+Delete)"), "aria-label": say("Remove row")}, icon("remove"))
    remove.onclick = () => this.removeRow(row)
    row.root = make("tr", {}, make("th", {scope: "row", class: "number"}), ...row.controls.map((c) => make("td", {}, c.root)),
      make("td", {class: "tools"}, remove))
    row.root.addEventListener("keydown", (event) => this.pressed(event, row))
    this.showFiles(row)
    store.watchers.add(() => this.host.partChanged())
    this.rows.push(row)
    this.body.append(row.root)
    this.number()
    if (isNew) {
      this.host.partChanged()
    }
    if (isEntered) {
      const first = row.controls.find((control) => !control.isFilled) ?? row.controls[0]
      first?.focus()
    }
    return row
  }
  // What is there already, where a cell can only replace it.
  showFiles({store, controls}) {
    const there = this.about.files?.[store.get(ORIGIN)] ?? {}
    for (const control of controls.filter(({about}) => there[about.name])) {
      const text = there[control.about.name]
      const note = make("p", {class: "note"}, text)
      control.root.append(note)
      control.input.setAttribute("aria-label", `${control.title}, ${text}`)
      store.watchers.add(() => { note.hidden = control.hasText || store.get(ORIGIN) === "" })
    }
  }
  drop(row) {
    for (const control of row.controls) control.remove()
    row.root.remove()
    this.rows.splice(this.rows.indexOf(row), 1)
    this.number()
    this.host.partChanged()
  }
  removeRow(row) {
    const at = this.rows.indexOf(row)
    const before = this.filled.includes(row) ? this.host.snapshot : null
    this.drop(row)
    if (before) this.host.offerUndo(say("Row {number} of {label} was removed.", {number: String(at + 1), label: this.about.label}), before)
    const neighbour = this.rows[Math.min(at, this.rows.length - 1)]
    if (neighbour) neighbour.controls[0].focus()
    else this.add.focus()
  }
  number() {
    this.wrapper.hidden = this.rows.length === 0
    this.rows.forEach((row, i) => { row.root.firstChild.textContent = String(i + 1) })
  }
  pressed(event, row) {
    if (event.isComposing) return
    if (event.key === "Delete" && event.ctrlKey) {
      event.preventDefault()
      this.removeRow(row)
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.defaultPrevented) {
      const target = event.composedPath()[0]
      const control = row.controls.find((c) => c.root.contains(target))
      if (!control || target.tagName === "BUTTON") return
      event.preventDefault()
      event.stopPropagation()
      this.down(row, control)
    }
  }
  down(row, control) {
    const at = this.rows.indexOf(row), column = row.controls.indexOf(control)
    if (at + 1 < this.rows.length) this.rows[at + 1].controls[column].focus()
    else if (column + 1 < row.controls.length) row.controls[column + 1].focus()
    else this.addRow({}, true)
  }
  // Rows in which something was typed, a number that was only suggested left aside.
  get filled() {
    return this.rows.filter((row) => {
      const names = Object.keys(row.store.texts)
      return names.some((name) => !(name === this.about.counter && row.store.get(name) === row.suggested))
    })
  }
  drafts() { return this.filled.map((row) => ({...row.store.texts})) }
  load(rows) { for (const texts of rows) this.addRow(texts) }
  clear() {
    for (const row of [...this.rows]) {
      for (const control of row.controls) control.remove()
      row.root.remove()
    }
    this.rows = []
    this.number()
  }
  get controls() { return this.rows.flatMap((row) => row.controls) }
  setErrors(errors) {
    for (const control of this.controls) control.setError("")
    const rows = this.filled
    const wrong = []
    for (const {row, attribute, text} of errors) {
      const control = rows[row]?.controls.find((c) => c.names.includes(attribute)) ?? rows[row]?.controls[0]
      if (!control) continue
      control.setError(text)
      const number = () => String(this.rows.indexOf(rows[row]) + 1)
      wrong.push({control, where: () => say("{label}, row {number}", {label: this.about.label, number: number()})})
    }
    return wrong
  }
}
