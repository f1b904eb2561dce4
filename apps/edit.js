// The form that changes a row: the form of entry.js, beginning with the row and the rows of its parts, and what would
// change before it is saved.
//
// `EntryForm` gives the fields, messages to Python, drafts and errors. Saving here takes two steps: Python compares the
// row as it was seen (`seen`), as it is, and as it is to be; then the visitor confirms, or chooses between two changes.

const CONSEQUENCES = [
  ["keep", say("Leave them as they are")],
  ["flag", say("Leave them, and say so in their history")],
  ["delete", say("Delete them, so that they are computed again")],
]

class EditForm extends EntryForm {
  get edit() { return this.about.edit }

  build() {
    this.seen = this.edit.seen
    this.banner = make("div", {class: "restored", role: "status", hidden: true})
    this.summary = make("div", {class: "summary", role: "alert", tabindex: "-1", hidden: true})
    this.receipt = make("div", {class: "receipt", role: "status", hidden: true})
    this.saved = make("section", {hidden: true})
    const fields = this.controls.length === 0 ? make("p", {}, this.nothing)
      : make("div", {class: "fields"}, ...this.controls.map((control) => control.root))
    this.button = make("button", {type: "button", class: "save"}, say("Review changes"))
    this.button.onclick = () => this.save()
    this.reset = make("button", {type: "button", class: "quiet"}, say("Start again"))
    this.reset.onclick = () => this.discard()
    this.state = make("span", {class: "state", role: "status"})
    this.panel = make("section", {class: "revision", tabindex: "-1", hidden: true})
    this.bar = make("div", {class: "bar"}, this.button, make("kbd", {}, say("Ctrl Enter")), this.reset,
      make("a", {href: this.edit.href, onclick: () => this.cancel()}, say("Cancel")), this.state)
    this.root = make("div", {class: "form"}, this.banner, this.summary,
      this.drawSubject(), make("fieldset", {}, make("legend", {}, this.legend), fields), ...this.grids.map((grid) => grid.root),
      ...this.edit.large.map(({label, text, link, href}) => make("section", {class: "part"}, make("h3", {}, label),
        make("p", {}, text), make("a", {href}, link))), this.panel, this.bar)
    this.root.addEventListener("keydown", (event) => this.pressed(event))
    this.root.addEventListener("focusin", ({target}) => { if (!target.closest(".revision, .bar, .summary, dialog")) this.place = target })
    for (const {about} of this.grids) about.files = this.edit.part_files[about.table]
    for (const control of this.controls) {
      const there = this.edit.files[control.about.name]
      if (!there) continue
      control.setNote(there)
      control.chip?.remove()           // an empty field leaves what is there
    }
  }
  // What was typed is offered again when the row is changed the next time; where nothing is changed, nothing is kept.
  cancel() { if (this.isUnchanged) this.drafts.remove() }
  get isUnchanged() { return JSON.stringify(this.typedTexts()) === this.unchanged }
  followSaved() { return null }         // nothing is entered here
  get legend() { return say("Values") }
  get nothing() { return say("All attributes of this table belong to its key.") }
  drawSubject() {
    const key = make("dl", {class: "fixed"}, ...Object.entries(this.edit.key).map(([name, text]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, text))))
    return make("fieldset", {}, make("legend", {}, say("Key: it names the row, so it stays")), key)
  }
  pressed(event) {
    if (!this.panel.contains(event.composedPath()[0])) { super.pressed(event); return }
    if (event.key === "Escape") { event.preventDefault(); this.goBack() }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.proceed?.() }
  }

  // ---- what is typed
  begin() {
    const oldest = this.foundDraft
    this.put({texts: {...this.edit.texts, ...this.edit.key}, parts: this.edit.parts})
    this.unchanged = JSON.stringify(this.typedTexts())
    if (oldest && typeof oldest.draft.seen === "string") {
      this.drafts.take(oldest)
      this.resume(oldest.draft)
      if (oldest.key === this.came?.key && oldest.draft.sent && !oldest.draft.files?.length) this.send(oldest.draft.sent)
      else this.showRestored(oldest.draft)
    } else {
      this.put({texts: this.model.prefill, parts: this.edit.prefill_parts ?? this.edit.parts})
      this.banner.replaceChildren(make("div", {}, ...this.edit.older.map(({text, link, href}) =>
        make("p", {}, text, ...href ? [" ", make("a", {href}, link)] : []))))
      this.banner.hidden = this.edit.older.length === 0
    }
    this.focusWhenShown()
  }
  // A draft of before may know nothing of a part that the form shows now, or of one that it leaves out.
  resume({texts, seen, parts = {}, ticks = {}}) {
    this.ticks = ticks
    const {[ORIGIN]: before = {}, ...row} = JSON.parse(seen)
    const now = JSON.parse(this.edit.seen)[ORIGIN] ?? {}
    const isKnown = (table) => Boolean(before[table] && parts[table])
    const tables = this.grids.map((grid) => grid.about.table)
    const choose = (theirs, ours) => Object.fromEntries(tables.map((table) => [table, (isKnown(table) ? theirs : ours)[table]]))
    const gone = Object.fromEntries(Object.keys(this.store.texts).map((name) => [name, ""]))
    this.put({texts: {...gone, ...texts, ...this.edit.key}, parts: choose(parts, this.edit.parts)})
    this.seen = JSON.stringify({...row, [ORIGIN]: choose(before, now)})
  }
  get cells() { return this.grids.flatMap((grid) => grid.controls) }
  keepDraft() {
    const files = this.everyControl.filter((c) => c.holdsFile).map((c) => c.about.label)
    this.isStored = this.drafts.keep({...this.kept, files, sent: this.sent ?? null, at: Date.now()})
    if (!this.isStored) this.state.textContent = say("This browser keeps no copy of what you type.")
  }
  // A reason that is being written is not in the draft.
  get isKept() { return this.isStored && (Boolean(this.sent) || !this.panel.querySelector("input[type=text]")?.value) }
  set isKept(isStored) { this.isStored = isStored }
  get kept() { return {...this.typedTexts(), seen: this.seen, ticks: this.ticks} }
  changed(control) { this.hidePanel(); super.changed(control) }
  partChanged() { this.hidePanel(); super.partChanged() }
  focusFirst() {
    const first = [...this.controls, ...this.cells].find((control) => control.about.kind !== "none")
    ;(first?.input ?? this.button).focus()
  }
  get snapshot() { return {...super.snapshot, seen: this.seen} }
  recall(before) {
    this.seen = before.seen
    super.recall(before)
  }
  discard() {
    const before = this.snapshot
    this.startAgain()
    if (JSON.stringify(before) !== JSON.stringify(this.snapshot)) this.offerUndo(say("The form is as it was when it was opened."), before)
    this.focusFirst()
  }
  startAgain() {
    this.seen = this.edit.seen
    this.ticks = {}
    for (const control of this.controls) { control.setError(""); control.setDoubt("") }
    const gone = Object.fromEntries(Object.keys(this.store.texts).map((name) => [name, ""]))
    this.put({texts: {...gone, ...this.edit.texts, ...this.edit.key}, parts: this.edit.parts})
    this.drafts.remove()
    this.banner.hidden = true
    this.showSummary([])
    this.hidePanel()
  }

  // ---- two steps
  get content() { return {...super.content, seen: this.seen} }
  async ask(kind, content, data = {}) {
    const message = {...content, ...data}
    this.isSaving = true
    this.isPressedAgain = false
    this.button.setAttribute("aria-disabled", "true")
    try {
      // The same change under the same `seen` is made once, so it is sent until the server says what became of it.
      for (;;) {
        try { return await this.request(kind, message, RESEND_MS) } catch (error) {
          if (!error.isLost) return {errors: {}, summary: error.message}
          if (this.isGone) return null
          if (window.djPanelShell?.isOver) return {errors: {}, summary: overText()}
          this.state.textContent = say("Not saved yet: waiting for the server. What you typed is kept on this device.")
        }
      }
    } finally {
      this.isSaving = false
      this.state.textContent = ""
      this.button.removeAttribute("aria-disabled")
    }
  }
  async save() {
    if (this.isSaving) { this.isPressedAgain = true; return }
    if (this.nUploading > 0) { this.state.textContent = uploadingText(); return }
    this.keepDraft()
    const {content} = this
    const answer = await this.ask("review", content)
    if (answer && this.isChangedSince(content)) {
      if (this.isPressedAgain) { this.save(); return }
      if (!answer.summary) { this.state.textContent = say("You have typed more since: review it again."); return }
    }
    this.show(answer, content)
  }
  // What was agreed to is kept with the draft until it is answered, so that a page that is loaded again goes on with it.
  async send(agreed) {
    this.sent = agreed
    this.keepDraft()
    const {content} = this
    const answer = await this.ask("write", content, agreed)
    this.sent = null
    if (answer?.is_saved && !this.isChangedSince(content)) this.drafts.remove()
    else if (answer) this.keepDraft()
    this.show(answer, content)
  }
  show(answer, sent) {
    if (answer === null || answer.is_saved) return
    this.hidePanel()
    this.showSummary([])
    for (const grid of this.grids) grid.setErrors([])
    if (answer.summary) {
      this.refuse({errors: answer.errors, part_errors: answer.part_errors ?? [], summary: answer.summary, doubts: answer.doubts}, sent)
      this.offerBack(answer.blocked ?? [])
    } else if (answer.differences?.some((difference) => difference.is_theirs)) this.showOthers(answer)
    else this.showChanges(answer)
  }
  // Rows that cannot be removed, each with a button that brings it back into its grid.
  offerBack(blocked) {
    if (blocked.length === 0) return
    this.summary.querySelector("div").append(make("ul", {}, ...blocked.map(({part, row: name, reason, draft}) => {
      const button = make("button", {type: "button", class: "link"}, say("Bring back {row}", {row: name}))
      button.onclick = () => {
        item.remove()
        if (!this.summary.querySelector("li")) this.showSummary([])
        const row = this.grids.find((grid) => grid.about.table === part).addRow(draft)
        this.partChanged()
        row.controls[0]?.focus()
      }
      const item = make("li", {}, `${reason} `, button)
      return item
    })))
  }
  hidePanel() {
    this.panel.hidden = true
    this.proceed = null
    this.button.className = "save"
  }
  // Back to where the visitor was before the panel came.
  goBack() {
    this.hidePanel()
    if (this.place?.isConnected) this.place.focus()
    else this.focusFirst()
  }
  showPanel(title, ...children) {
    const heading = make("h3", {id: newId("revision")}, title)
    this.panel.setAttribute("aria-labelledby", heading.id)
    this.panel.replaceChildren(heading, ...children.filter(Boolean))
    this.panel.hidden = false
    this.button.className = "quiet"      // what leads on is in the panel
  }
  changesTable(names, rows) {
    const head = make("tr", {}, ...names.map((name) => make("th", {scope: "col"}, name)))
    const body = rows.map(([name, ...cells]) => make("tr", {}, make("th", {scope: "row"}, name),
      ...cells.map((cell, i) => make("td", {"data-label": names[i + 1]}, cell))))
    return make("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": say("Values before and afterwards")},
      make("table", {class: "changes"}, make("thead", {}, head), make("tbody", {}, ...body)))
  }
  // What differs, by its name: an attribute, a row of a part, or an attribute of such a row.
  nameOf({attribute, label, row}) { return [label && `${label} ${row}`.trim(), attribute].filter(Boolean).join(", ") }
  name(difference) {
    const {attribute, label, row} = difference
    return label ? make("span", {}, make("span", {class: "row"}, `${label} ${row}`.trim()), attribute ? make("span", {}, ` ${attribute}`) : "") : attribute
  }
  value({text, is_words: isWords}, kind = "span") {
    return make(kind, {class: isWords ? "value words" : "value"}, text)
  }
  choice(name, value, checked, ...label) {
    return make("label", {class: "choice"}, make("input", {type: "radio", name, value, checked}), ...label)
  }

  showOthers({differences, other, seen}) {
    const group = newId("choice")
    const rows = differences.map((d, i) => {
      const choose = (side, shown, words) => make("div", {},
        d.is_conflict ? this.choice(`${group}-${i}`, side, false, this.value(shown), make("span", {class: "comment"}, words))
          : this.value(shown))
      const theirs = choose("theirs", d.theirs, say("keep this"))
      const mine = d.is_mine ? choose("mine", d.mine, say("take this")) : make("span", {class: "comment"}, say("not changed by you"))
      return [this.name(d), this.value(d.was), theirs, mine]
    })
    const missing = make("p", {class: "problem", role: "alert", hidden: true})
    const go = make("button", {type: "button", class: "save"}, say("Go on"))
    go.onclick = () => {
      const side = (d, i) => d.is_conflict ? this.panel.querySelector(`input[name="${group}-${i}"]:checked`)?.value : "theirs"
      const open = differences.filter((d, i) => !side(d, i))
      missing.hidden = open.length === 0
      missing.textContent = say("Choose between the two for: {names}.", {names: open.map((d) => this.nameOf(d)).join("; ")})
      if (open.length) { this.panel.querySelector("input")?.focus(); return }
      this.take(differences.map((d, i) => ({...d, side: side(d, i)})).filter((d) => d.is_theirs))
      this.seen = seen
      this.save()
    }
    this.proceed = go.onclick
    this.showPanel(say("Somebody else has changed this row meanwhile"),
      make("p", {}, other ? say("Changed by {user}. Nothing was saved yet, and nothing that you typed is lost.", {user: other}) : say("Nothing was saved yet, and nothing that you typed is lost.")),
      this.changesTable([say("Attribute"), say("When you opened it"), say("Now"), say("Yours")], rows), missing,
      make("div", {class: "actions"}, go, this.back()))
    ;(this.panel.querySelector("input") ?? go).focus()
  }

  // Put what others have written into the form, where the visitor did not prefer what is there.
  take(differences) {
    const rows = Object.fromEntries(this.grids.map((grid) => [grid.about.table, grid.filled]))
    for (const {attribute, part, number, side, theirs_text: text, theirs_row: draft} of differences) {
      const row = part ? rows[part][number] : null
      if (!part) { if (side === "theirs") this.store.set({[attribute]: text ?? ""}) }
      else if (attribute) { if (side === "theirs") row.store.set({[attribute]: text ?? ""}) }
      else if (side === "mine") row?.store.set({[ORIGIN]: ""})       // the row that it was is another one by now, or gone
      else {
        const grid = this.grids.find(({about}) => about.table === part)
        if (row) grid.drop(row)
        if (draft) grid.addRow(draft)
      }
    }
  }

  showChanges({differences, notes, ...computed}) {
    const rows = differences.map((d) => [this.name(d), this.value(d.was, "del"), this.value(d.mine, "ins")])
    const nAdded = differences.filter((d) => !d.attribute && d.number >= 0).length
    const nRemoved = differences.filter((d) => !d.attribute && d.number < 0).length
    const nValues = differences.length - nAdded - nRemoved
    const title = [nValues && sayMany("{n} value will change", "{n} values will change", nValues),
      nAdded && sayMany("{n} row will be added", "{n} rows will be added", nAdded),
      nRemoved && sayMany("{n} row will be removed", "{n} rows will be removed", nRemoved)].filter(Boolean).join(", ")
    this.showAgreement(title, [this.changesTable([say("Attribute"), say("Old"), say("New")], rows),
      ...notes.map((note) => make("p", {class: "comment"}, note))], {...computed, n_values: rows.length})
  }
  // What becomes of computed rows, and why it is changed; then it is saved. Some cannot stay if rows are removed.
  showAgreement(title, content, {computed, n_computed: number, n_values: nValues, is_deletion_needed: mustGo = false}) {
    const group = newId("consequence")
    const reason = make("input", {id: newId("reason"), type: "text", maxlength: "1000", autocomplete: "off"})
    const undecided = make("p", {class: "problem", role: "alert", hidden: true}, say("Tick that they are deleted, or go back to the form and keep the rows."))
    const used = number === 0 ? "" : make("fieldset", {class: "used"},
      make("legend", {}, nValues === 1 ? sayMany("{n} computed row used the old value", "{n} computed rows used the old value", number) : sayMany("{n} computed row used the old values", "{n} computed rows used the old values", number)),
      make("p", {class: "comment"}, computed.map(({label, count}) => `${grouped(count)} × ${label}`).join(", ")),
      mustGo ? make("p", {}, say("Some were computed from rows that are removed, so they cannot stay.")) : "",
      ...CONSEQUENCES.filter(([value]) => !mustGo || value === "delete").map(([value, text], i) =>
        this.choice(group, value, i === 0 && !mustGo, make("span", {}, text))), undecided)
    const confirm = make("button", {type: "button", class: "save"}, say("Save changes"))
    confirm.onclick = async () => {
      if (this.isSaving) return
      const chosen = this.panel.querySelector(`input[name="${group}"]:checked`)
      undecided.hidden = number === 0 || chosen !== null
      if (!undecided.hidden) { this.panel.querySelector("input").focus(); return }
      const consequence = number ? chosen.value : "keep"
      const agreed = Object.fromEntries(computed.map(({table, count}) => [table, count]))
      confirm.setAttribute("aria-disabled", "true")
      await this.send({reason: reason.value, consequence, computed: agreed})
    }
    reason.onkeydown = (event) => { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); confirm.onclick() } }
    this.proceed = confirm.onclick
    this.showPanel(title, ...content, used,
      make("div", {class: "reason"}, make("label", {for: reason.id}, say("Reason "), make("span", {class: "comment"}, say("may be empty; kept in the history"))),
        make("div", {class: "box"}, reason)),
      make("div", {class: "actions"}, confirm, this.back()))
    confirm.focus()
  }
  back() {
    const button = make("button", {type: "button", class: "quiet"}, say("Back to the form"))
    button.onclick = () => this.goBack()
    return button
  }
}
formOfRows = EditForm
