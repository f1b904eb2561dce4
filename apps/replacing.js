// What replaces all that is typed: clearing, a preset, a row like another one. Each of them can be taken back. And what
// does not go with the row that is saved: what was typed after it was sent.

class Replacing extends Messages {
  // What one act took away or wrote over is brought back with one button, and that can be taken back as well.
  get snapshot() {
    const files = this.everyControl.filter((control) => control.holdsFile).map((control) => control.about.label)
    return {...this.typedTexts(), files, ticks: this.ticks, token: this.token}
  }
  offerUndo(words, before, isAdding = false) {
    this.offer(words, () => {
      if (this.isSaving) return
      const now = this.snapshot
      this.recall(before)
      const lost = before.files.filter((label) => !this.snapshot.files.includes(label))
      this.offerUndo(say("Brought back.") + (lost.length ? say(" Choose again: {files}.", {files: lost.join(", ")}) : ""), now)
      this.focusChange(before, now)
    })
    this.undoing.hidden = !isAdding && Object.keys(before.texts).length === 0 && Object.values(before.parts).every((rows) => rows.length === 0)
    this.receipt.hidden ||= !this.undoing.hidden   // its own Undo stands in the list of what was entered
  }
  offer(words, act, leave = () => { this.undoing.hidden = true }) {
    const undo = make("button", {type: "button", class: "quiet", "aria-keyshortcuts": "Alt+U", title: say("Undo (Alt+U)"), onclick: act}, say("Undo"))
    const close = make("button", {type: "button", class: "icon-button", "aria-label": say("Close")}, icon("remove"))
    close.onclick = () => { leave(); this.focusFirst() }
    this.undoing.replaceChildren(make("span", {}, words), undo, close)
    this.undoing.hidden = false
  }
  // Where something came back, there the visitor goes on: Enter on "Undo" would take it away again.
  focusChange(before, now) {
    const first = (controls, one = {}, other = {}) => controls.find(({names, about}) => about.kind !== "none"
      && [...names, about.id].some((name) => (one[name] ?? "") !== (other[name] ?? "")))
    const field = first(this.controls, before.texts, now.texts)
    if (field) { field.focus(); return }
    for (const grid of this.grids) {
      const [there, gone] = [before, now].map(({parts}) => parts[grid.about.table] ?? [])
      for (let at = 0; at < Math.max(there.length, gone.length); at++) {
        if (JSON.stringify(there[at]) === JSON.stringify(gone[at])) continue
        const row = grid.filled[at]
        ;(row ? first(row.controls, there[at], gone[at]) ?? row.controls[0] : grid.add).focus()
        return
      }
    }
    this.focusFirst()
  }
  recall({texts, parts, ticks, token}) {
    this.ticks = ticks
    this.token = token
    const typed = this.typedTexts()
    this.store.set({...Object.fromEntries(Object.keys(typed.texts).map((name) => [name, ""])), ...texts})
    for (const grid of this.grids) {
      const {about: {table}} = grid
      if (JSON.stringify(parts[table]) === JSON.stringify(typed.parts[table])) continue   // its files stay too
      grid.clear()
      grid.load(parts[table] ?? [])
    }
    for (const control of this.controls) { control.setError(""); control.checkedText = ""; control.isTouched = control.hasText }
    this.showSummary([])
    this.changed(null)
  }

  // ---- presets: all that is typed, but for the number of the row and files
  presetValues() {
    const names = Object.entries(this.store.texts)
    return Object.fromEntries(names.filter(([name, text]) => name !== this.about.counter && !isUpload(text)))
  }
  // The form is as it was, so what else could be taken back is offered again afterwards.
  presetLost(words, putBack) {
    const older = this.undoing.hidden ? [] : [...this.undoing.childNodes]
    const leave = () => { this.undoing.replaceChildren(...older); this.undoing.hidden = older.length === 0 }
    this.offer(words, () => { leave(); putBack() }, leave)
  }
  applyPreset(values, name) {
    const before = this.snapshot
    this.savedAt = null
    this.store.set(values)
    for (const control of this.controls) if (control.names.some((name) => name in values)) control.isTouched = true
    this.keepDraft(true)
    this.suggestNext()
    this.offerUndo(say("Filled in from the preset {name}.", {name}), before)
  }

  // ---- a row like another one, and none
  async beginLike(key, label) {
    try {
      const {texts, parts} = await this.request("like", {key})
      const before = this.snapshot
      this.discard()
      this.empty()
      this.put({texts, parts})
      this.keepDraft(true)
      this.suggestNext()
      this.offerUndo(say("Filled in like {label}.", {label}), before)
      this.focusFirst()
    } catch (error) {
      this.showSummary([], error.message)
      this.summary.focus()
    }
  }
  empty() { this.store.set(Object.fromEntries(Object.keys(this.store.texts).map((name) => [name, ""]))) }
  discard() {
    const before = this.snapshot
    this.drafts.remove()
    this.token = newUuid()
    this.ticks = {}
    this.empty()
    for (const control of this.controls) control.clear()
    for (const grid of this.grids) grid.clear()
    this.store.set(this.model.prefill)
    this.keepPinned()
    this.banner.hidden = true
    this.showSummary([])
    this.offerUndo(say("Cleared."), before)
    this.focusFirst()
  }

  // ---- the row is saved
  // What was typed while the row was on its way is not in it, and stays in the form.
  typedSince({draft, parts}) {
    const texts = Object.fromEntries(Object.entries(this.store.texts).filter(([name, text]) => text && text !== draft[name]))
    const isNew = (table) => {
      const rows = new Set((parts[table] ?? []).map((row) => JSON.stringify(row)))
      return (row) => !rows.has(JSON.stringify(row))
    }
    const rows = this.grids.map(({about}) => [about.table, this.parts[about.table].filter(isNew(about.table))])
    const controls = this.controls.filter((control) => control.names.some((name) => name in texts))
    const labels = [...controls.map((control) => control.about.label),
      ...this.grids.filter((grid, i) => rows[i][1].length).map((grid) => grid.about.label)]
    return {texts, parts: Object.fromEntries(rows), labels}
  }
}
