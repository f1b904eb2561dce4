// What a form says: what is wrong with it, that its key is taken, that it was saved, and what was saved before.

class Messages {
  wrong = []                           // what the summary lists
  unusual = []                         // what it asks to tick

  showSummary(wrong, title = "") {
    this.duplicate = null
    this.wrong = wrong
    this.unusual = []
    this.summary.hidden = !title
    if (!title) return
    for (const one of wrong) {
      one.link = make("button", {type: "button", class: "link"})
      one.link.onclick = () => one.control.focus()
      one.words = make("span")
      one.line = make("li", {}, one.link, one.words)
    }
    this.summary.replaceChildren(icon("error"), make("div", {}, make("strong", {}, title),
      wrong.length ? make("ul", {}, ...wrong.map(({line}) => line)) : ""))
    this.fillLines()
  }
  // A line goes when its field is put right; one that is wrong in another way says in which.
  fillLines() {
    for (const {control, where, link, words, line} of this.wrong) {
      line.hidden = !control.errorText || !control.root.isConnected
      link.textContent = where()
      words.textContent = `: ${control.errorText}`
    }
    return this.wrong.filter(({line}) => !line.hidden).length
  }
  // The box counts what is left of it, and goes with the last.
  tellWrong() {
    this.tellPasted?.()
    if (this.wrong.length + this.unusual.length === 0) return
    const title = this.summary.querySelector("strong")
    const unusual = this.unusual.filter(({doubtText}) => doubtText).length
    if (this.wrong.length) {
      const open = this.fillLines()
      if (open) title.textContent = sayMany("One field needs a correction. Nothing was saved.", "{n} fields need a correction. Nothing was saved.", open)
      else if (!this.summary.querySelector("li:not([hidden])")) this.showSummary([])
    } else if (unusual) {
      title.textContent = sayMany("One value is unusual. Tick it if it is right, and save again. Nothing was saved.",
        "{n} values are unusual. Tick those that are right, and save again. Nothing was saved.", unusual)
    } else if (this.unusual.length) this.showSummary([])
  }
  // What a field that was found empty still needs.
  missing(control) {
    const isOpen = control.isRequired && !control.hasText && this.wrong.some((one) => one.control === control)
    return isOpen ? say("Needs a value.") : ""
  }
  refuse({errors, part_errors: partErrors, summary, duplicate, doubts = {}}, sent) {
    this.keepDraft(true)
    this.banner.hidden = true
    this.receipt.hidden = true
    const wrong = []
    for (const control of this.controls) {
      const text = control.names.map((name) => errors[name]).find(Boolean) ?? ""
      control.setError(text)
      control.checkedText = control.names.map((name) => control.store.get(name)).join("\n")
      if (text) wrong.push({control, where: () => control.about.label})
    }
    for (const grid of this.grids) {
      wrong.push(...grid.setErrors(partErrors.filter((error) => error.part === grid.about.table)))
    }
    this.showDoubts(this.controls, doubts)
    const unusual = Object.keys(doubts).length ? this.controls.filter((control) => control.doubtText) : []
    if (duplicate && wrong.length === 0) this.showDuplicate(duplicate, true)
    else this.showSummary(wrong, summary)
    if (wrong.length === 0) this.unusual = unusual
    const first = wrong[0]?.control
    const open = unusual.find(({tick}) => !tick.checked)
    if (first) first.focus()
    else if (open) open.tick.focus()
    else this.summary.focus()
    if (this.isChangedSince(sent)) for (const {control} of wrong) this.check(control, {force: true})
  }
  showDuplicate(found, isRefused = false) {
    // The answer to a check may come after that to saving, and does not take back what this one said.
    const duplicate = {...found, isRefused: isRefused || (this.duplicate?.isRefused && this.duplicate.label === found.label)}
    this.duplicate = duplicate
    this.wrong = this.unusual = []
    const open = make("a", {href: duplicate.href}, say("Open"))
    const compare = make("button", {type: "button", class: "quiet", "aria-expanded": "false"}, say("Compare"))
    const differences = make("div", {class: "differences", hidden: true})
    compare.onclick = () => this.compare(compare, differences)
    const actions = make("div", {class: "actions"}, open, compare)
    if (duplicate.next_free) {
      const next = make("button", {type: "button", class: "quiet"}, say("Use next free number: {number}", {number: duplicate.next_free}))
      next.onclick = () => {
        this.store.set({[duplicate.counter]: duplicate.next_free})
        this.keepDraft(true)
        this.showSummary([])
        this.focusFirst()
      }
      actions.append(next)
    }
    const label = duplicate.entered_by ? `${duplicate.label} (${duplicate.entered_by})` : duplicate.label
    const text = duplicate.isRefused ? say("{label} exists already. Nothing was saved.", {label}) : say("{label} exists already.", {label})
    this.summary.replaceChildren(icon("error"), make("div", {}, make("strong", {}, text), actions, differences))
    this.summary.hidden = false
  }
  async compare(button, box) {
    if (!box.hidden) { box.hidden = true; button.setAttribute("aria-expanded", "false"); return }
    try {
      const {contrasts} = await this.request("compare", {draft: {...this.store.texts}, parts: this.parts})
      const row = ({label, there, typed}) => make("tr", {}, make("th", {scope: "row"}, label),
        make("td", {}, there || "NULL"), make("td", {}, typed || say("nothing typed")))
      box.replaceChildren(contrasts.length === 0 ? make("p", {}, say("What is typed agrees with the row that is there."))
        : make("table", {}, make("thead", {}, make("tr", {}, make("th", {scope: "col"}, say("Differs in")),
          make("th", {scope: "col"}, say("In the database")), make("th", {scope: "col"}, say("Typed here")))),
        make("tbody", {}, ...contrasts.map(row))))
    } catch (error) { box.replaceChildren(make("p", {}, error.message)) }
    box.hidden = false
    button.setAttribute("aria-expanded", "true")
  }
  showReceipt(receipt, before) {
    const undo = make("button", {type: "button", class: "quiet"}, say("Undo"))
    undo.onclick = () => this.undo(receipt.id, before, undo)
    const parts = receipt.parts.map(({label, number}) => ` · ${number} × ${label}`).join("")
    this.receipt.replaceChildren(icon("done"),
      make("span", {}, receipt.is_repeat ? say("Already saved:") : say("Saved:"), " ", make("a", {href: receipt.href}, receipt.label),
        `${parts} · ${receipt.time}`), receipt.is_repeat ? "" : undo)
    this.receipt.hidden = false
    this.receipt.classList.remove("undone")
  }
  // A parent that was made beside the form is taken back where it is a row of its own.
  showCreated(receipt) {
    this.showReceipt({...receipt, parts: []}, null)
    this.receipt.querySelector("button")?.remove()
    if (!this.receipt.isConnected) this.bar.prepend(this.receipt)
  }
  hideReceipt() { if (this.receipt.classList.contains("undone")) this.receipt.hidden = true }
  showSaved(recent) {
    this.recent = recent
    this.saved.hidden = recent.length === 0
    this.saved.replaceChildren(make("h3", {}, say("Entered today")),
      this.about.custom ? make("p", {class: "comment"}, say("Times: {zone}", {zone: this.about.custom.clock})) : "",
      make("ol", {}, ...recent.map((receipt) => {
      const undo = make("button", {type: "button", class: "link", "aria-label": say("Undo {label}", {label: receipt.label})}, say("Undo"))
      undo.onclick = () => this.undo(receipt.id, null, undo)
      const parts = receipt.parts.map(({label, number}) => `${number} × ${label}`).join(", ")
      const again = make("button", {type: "button", class: "link", "aria-label": say("New row like {label}", {label: receipt.label})},
        say("New like this"))
      again.onclick = () => this.beginLike(receipt.key, receipt.label)
      return make("li", {}, make("time", {}, receipt.time), make("span", {class: "what"}, make("a", {href: receipt.href}, receipt.label),
        parts ? make("span", {class: "comment"}, parts) : ""), again, undo)
    })))
  }
  // What the same person has saved in another window is listed once this one is looked at again.
  followSaved() {
    const look = async () => {
      try {
        const {recent} = await this.request("recent")
        if (JSON.stringify(recent) !== JSON.stringify(this.recent)) this.showSaved(recent)
      } catch { /* it will be asked the next time again */ }
    }
    addEventListener("focus", look)
    return () => removeEventListener("focus", look)
  }
  async undo(id, before, button) {
    button.disabled = true
    try {
      const {message, recent} = await this.request("undo", {receipt: id})
      this.receipt.replaceChildren(icon("done"), make("span", {}, message))
      this.receipt.classList.add("undone")
      this.receipt.hidden = false
      this.showSaved(recent)
      if (before) {                    // so that what was wrong with it can be put right
        this.put(before)
        this.keepDraft(true)
        this.focusFirst()
      }
    } catch (error) {
      button.disabled = false
      this.showSummary([], error.message)
      this.summary.focus()
    }
  }
  showRestored(draft) {
    const {date, time} = labTime(this.zone, new Date(draft.at))
    const at = time.slice(0, 5)
    const when = date === labTime(this.zone).date ? at : say("{time} on {day}", {time: at, day: date})
    const doubt = draft.isSent ? say(" It was being saved, and no answer came: save again to be sure. It will be stored once.") : ""
    const lost = draft.files?.length ? say(" Choose again: {files}.", {files: draft.files.join(", ")}) : ""
    const button = make("button", {type: "button", class: "quiet"}, say("Discard"))
    button.onclick = () => this.discard()
    const others = this.drafts.free().length
    const more = others === 0 ? "" : others === 1 ? say(" Another draft is kept for afterwards.") : say(" {n} more drafts are kept for afterwards.", {n: String(others)})
    this.banner.replaceChildren(
      make("span", {}, say("Restored what you had typed at {time}.", {time: when}) + doubt + lost + more), button)
    this.banner.hidden = false
  }
  // ---- what is unusual
  showDoubts(controls, doubts) {
    for (const control of controls) {
      const name = control.names.find((one) => doubts[one])
      control.setDoubt(name ? doubts[name] : "", name !== undefined && this.ticks[name] === control.store.get(name))
    }
  }
  ticked(control) {
    for (const name of control.names) {
      if (control.tick.checked) this.ticks[name] = control.store.get(name)
      else delete this.ticks[name]
    }
    this.keepDraft(true)
  }
}
