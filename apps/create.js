// "Create new…" of a picker, in a form or in a row of one of its parts: the form of the parent in a panel over the form
// that needs it, and back with the row.
//
// The form in the panel speaks through the same model. Its messages name its own table, and answers find the form
// that asked by their number, so the two do not disturb each other.

function openCreate(host, picker) {
  const below = host.form ?? host      // a row of a part speaks for itself, and lies in a form
  const opener = picker.input
  const title = say("New {label}", {label: picker.about.label})
  const panel = make("dialog", {class: "create", "aria-label": title})
  const cancel = make("button", {type: "button", class: "icon-button", "aria-label": say("Close")}, icon("remove"))
  const head = make("div", {class: "create-head"}, make("h3", {}, title), cancel)
  const body = make("div", {class: "create-body"}, make("p", {class: "note", role: "status"}, say("Loading…")))
  panel.append(head, body)
  below.root.append(panel)
  let form = null
  const leave = () => {
    form?.close()
    panel.remove()
    opener.focus()
  }
  panel.addEventListener("close", leave)
  panel.addEventListener("keydown", (event) => event.stopPropagation())
  cancel.onclick = () => panel.close()
  panel.showModal()
  host.request("form", {link: picker.about.id}).then((about) => {
    if (!panel.open) return
    const typed = picker.store.get(picker.about.id).trim()
    const words = typed.split(/[\s·]+/).filter(Boolean)
    const prefill = {}
    picker.about.attributes.forEach((name, i) => {
      const known = picker.store.get(name)
      if (known) prefill[picker.about.parent_attributes[i]] = known
    })
    // What was typed is the rest of the key, or the part of it that the row does not take from a parent of its own.
    const open = picker.about.parent_attributes.filter((name) => !(name in prefill))
    const own = open.filter((name) => about.form.items.some((item) => item.name === name))
    const rest = own.length === 1 ? own : open
    if (words.length === open.length) open.forEach((name, i) => { prefill[name] = words[i] })
    else if (typed && rest.length === 1) prefill[rest[0]] = typed
    const place = `${below.model.pin_key}/new/${about.form.table}`
    const model = {
      form: {...about.form, custom: below.about.custom}, recent: [], prefill, pin_key: place,
      draft_key: `${below.model.draft_key}/new/${about.form.table}`,
      on: (...what) => below.model.on(...what), off: (...what) => below.model.off(...what),
      send_msg: (message) => below.model.send_msg(message),
    }
    form = new EntryForm(model, {onSaved: (receipt) => {
      const key = {}
      picker.about.attributes.forEach((name, i) => { key[name] = receipt.key[picker.about.parent_attributes[i]] })
      panel.close()
      picker.choose({key, label: receipt.label})
      below.showCreated(receipt)
    }})
    body.replaceChildren(form.root)
  }, (error) => body.replaceChildren(make("p", {class: "problem", role: "alert"}, icon("error"), make("span", {}, error.message))))
}
