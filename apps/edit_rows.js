// The form that gives many rows a new value together: the form of edit.js, in which only ticked fields mean anything.
//
// A field is ticked by its box, or by typing into it. One that is ticked and empty gives no value, or the default.

class RowsForm extends EditForm {
  build() {
    this.chosen = new Set()
    this.byHand = new Set()              // ticked by their box; what typing has ticked goes with what was typed
    super.build()
    this.root.classList.add("many")
    for (const control of this.controls) this.offerChoice(control)
  }
  drawSubject() {
    const {label, notices, apart} = this.edit
    return make("fieldset", {}, make("legend", {}, say("Rows: their keys stay")), make("p", {class: "which"}, label),
      ...[...notices, ...apart].map((text) => make("p", {class: "comment"}, text)))
  }
  get legend() { return say("New values: tick what all of these rows are to hold") }
  get nothing() { return say("No attribute of these rows can be changed in all of them together.") }

  // ---- which fields mean something
  offerChoice(control) {
    const {label} = control.about
    control.choice = make("input", {type: "checkbox", "aria-label": say("Change {label}", {label})})
    control.choice.onchange = () => { this.choose(control, control.choice.checked, true); this.hidePanel(); this.keepDraft() }
    control.head.prepend(make("label", {class: "choose-field"}, control.choice))
    const held = make("div", {class: "now"}, make("span", {}, say("Now")), this.held(this.edit.holdings[control.about.id ?? control.about.name]))
    control.root.querySelector(".below").prepend(held)
    control.emptyWords = control.input.tagName === "SELECT" ? control.input.options[0].textContent : control.input.placeholder
    this.choose(control, false)
  }
  choose(control, isChosen, isByHand = false) {
    if (isChosen && isByHand) this.byHand.add(control)
    else if (!isChosen) this.byHand.delete(control)
    if (isChosen) this.chosen.add(control)
    else { this.chosen.delete(control); control.setError(""); control.setDoubt("") }
    control.choice.checked = isChosen
    control.root.classList.toggle("aside", !isChosen)
    control.input.setAttribute("aria-required", String(isChosen && control.isRequired))
    const words = isChosen ? control.emptyWords : say("stays as it is")
    if (control.input.tagName === "SELECT") control.input.options[0].textContent = words
    else control.input.placeholder = words
  }
  held({commonest, n_values: number}) {
    const others = number - commonest.length
    return make("ul", {class: "held"}, ...commonest.map(({value, n_rows: n}) =>
      make("li", {}, make("span", {class: "n"}, `${grouped(n)} × `), this.value(value))),
    others ? make("li", {class: "comment"}, sayMany("and {n} other value", "and {n} other values", others)) : "")
  }
  nameOfControl({about}) { return about.id ?? about.name }
  chooseOnly(names, byHand = []) {
    for (const control of this.controls) {
      const name = this.nameOfControl(control)
      this.choose(control, names.includes(name), byHand.includes(name))
    }
  }
  get chosenNames() { return [...this.chosen].map(this.nameOfControl) }
  get namesByHand() { return [...this.byHand].map(this.nameOfControl) }

  // ---- what is typed
  begin() {
    const [oldest] = this.drafts.free()
    this.put({texts: this.edit.key})
    if (oldest && Array.isArray(oldest.draft.chosen)) {
      this.drafts.take(oldest)
      this.put({texts: {...oldest.draft.texts, ...this.edit.key}})
      this.chooseOnly(oldest.draft.chosen, oldest.draft.byHand)
      this.showRestored(oldest.draft)
    }
    this.focusWhenShown()
  }
  get kept() { return {texts: this.store.texts, chosen: this.chosenNames, byHand: this.namesByHand} }
  changed(control) {
    if (control) this.choose(control, this.isTypedInto(control) || this.byHand.has(control), this.byHand.has(control))
    super.changed(control)
  }
  // A picker holds what all rows have of a key as well, which nobody typed.
  isTypedInto(control) { return Object.keys(control.textsOf("")).some((name) => this.store.get(name) !== "") }
  get isUnchanged() { return this.chosen.size === 0 && !this.controls.some((control) => this.isTypedInto(control)) }
  get snapshot() { return {...super.snapshot, chosen: this.chosenNames, byHand: this.namesByHand} }
  recall(before) {
    this.chooseOnly(before.chosen, before.byHand)
    super.recall(before)
  }
  startAgain() {
    this.chooseOnly([])
    super.startAgain()
  }

  // ---- two steps
  get content() { return {...super.content, chosen: this.chosenNames, token: this.token} }
  showChanges({renewals, n_changing: number, notices, seen, ...computed}) {
    this.seen = seen
    const rows = renewals.map(({attribute, holding, new: value, n_changing: n}) =>
      [attribute, this.held(holding), this.value(value, "ins"), grouped(n)])
    this.showAgreement(sayMany("{n} row will change", "{n} rows will change", number), [
      this.changesTable([say("Attribute"), say("The rows hold"), say("New"), say("Rows that change")], rows),
      notices.length ? make("div", {class: "notice", role: "alert"}, ...notices.map((text) => make("p", {}, text))) : null],
    {...computed, n_values: renewals.length})
  }
}
formOfRows = RowsForm
