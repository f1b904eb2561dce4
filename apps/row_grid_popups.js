// What opens over the grid of rows: the columns, the ways to filter one, the menu of a row, exports and views.

const GAP = 4, EDGE = 8 // between a popup and what opens it, and between it and the edge of the window
const MOST = 420

function gridPopups(grid) {
  const {model, root, popup, send} = grid
  let close = () => {}
  let waiting = {} // what to do with an answer of Python, by its kind
  const isOpen = name => !popup.hidden && popup.dataset.of === name

  function open(name, anchor, content, label, {role = "dialog", end = false, focus = null} = {}) {
    close()
    popup.replaceChildren(content)
    popup.dataset.of = name
    const named = role === "dialog" ? popup : content.querySelector("[role=menu]")
    for (const attribute of ["role", "aria-label"]) popup.removeAttribute(attribute)
    named.setAttribute("role", role)
    named.setAttribute("aria-label", label)
    popup.hidden = false
    const opener = anchor.matches("button") ? anchor : anchor.querySelector("button")
    opener.setAttribute("aria-expanded", "true")
    // What comes later, such as the values of a column, is given room too.
    const sized = new ResizeObserver(() => put(anchor, end))
    sized.observe(content)
    const outside = event => { if (!event.composedPath().includes(popup) && !event.composedPath().includes(anchor)) close() }
    const escape = event => { if (event.key === "Escape") { event.stopPropagation(); close(); (focus ?? anchor).focus() } }
    document.addEventListener("pointerdown", outside, true)
    root.addEventListener("keydown", escape)
    close = () => {
      popup.hidden = true
      sized.disconnect()
      waiting = {}
      opener.setAttribute("aria-expanded", "false")
      document.removeEventListener("pointerdown", outside, true)
      root.removeEventListener("keydown", escape)
      close = () => {}
    }
  }

  function put(anchor, end) {
    const box = anchor.getBoundingClientRect(), around = root.getBoundingClientRect()
    const below = innerHeight - box.bottom - GAP - EDGE, above = box.top - EDGE - GAP
    popup.style.maxHeight = `${Math.min(MOST, Math.max(below, above))}px`
    const wide = popup.offsetWidth, isAbove = popup.offsetHeight > below && above > below
    popup.style.left = `${Math.max(0, Math.min(box[end ? "right" : "left"] - around.left - (end ? wide : 0), around.width - wide))}px`
    popup.style.top = `${isAbove ? box.top - around.top - popup.offsetHeight - GAP : box.bottom - around.top + GAP}px`
  }

  // ------------------------------------------------------------------ menus
  function menuOf(items) {
    const list = make("div", {class: "menu", role: "menu"}, ...items)
    list.addEventListener("keydown", event => {
      const all = [...list.querySelectorAll("[role=menuitem]")]
      const at = all.indexOf(grid.focused())
      const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
      if (to === undefined) return
      event.preventDefault()
      all[(to + all.length) % all.length].focus()
    })
    return list
  }
  function item(label, hint, onClick) {
    const made = make("button", {type: "button", role: "menuitem", tabindex: -1}, make("span", {}, label), make("kbd", {}, hint))
    made.addEventListener("click", onClick)
    return made
  }
  const linkItem = (label, hint, href) =>
    make("a", {href, role: "menuitem", tabindex: -1}, make("span", {}, label), make("kbd", {}, hint))

  // ------------------------------------------------------------------ the ways to filter a column
  function openFilters(column, field) {
    const list = menuOf([])
    const note = make("p", {class: "about", role: "status"}, "")
    const emptiness = column.choices ? [] : EMPTINESS
    for (const [label, text] of [...OPERATORS[column.filter], ...emptiness]) {
      list.append(item(label, text || "…", () => {
        close()
        const words = [TODAY, ...EMPTINESS.map(([, word]) => word)]
        const isWhole = words.includes(text)
        const rest = words.includes(field.value) ? "" : field.value.replace(/^(!=|<=|>=|[=<>^!])/, "").replace("..", "")
        grid.head_.put(column, field, isWhole ? text : text === ".." ? `${rest}..` : text + rest, isWhole || Boolean(rest))
      }))
    }
    if (model.view.filters[column.name] && grid.keepsRestrictions) {
      list.append(item(say("Keep on every page"), "", () => { close(); send({type: "restrict", name: column.name}) }))
    }
    const values = make("div", {role: "group", "aria-label": say("Values"), class: "values"})
    if (column.filter !== "presence") {
      list.append(values)
      note.textContent = say("Counting the values…")
      send({type: "facets", name: column.name})
    }
    open("filters", field.parentElement, make("div", {}, list, note), say("Ways to filter {name}", {name: column.name}), {role: "menu", focus: field})
    list.querySelector("[role=menuitem]")?.focus()
    waiting.facets = found => {
      if (found.name !== column.name) return
      values.replaceChildren(...found.values.map(([text, n, filter]) => {
        const made = item(text, n, () => { close(); grid.head_.put(column, field, filter, true) })
        if (text === "") made.firstChild.append(make("span", {class: "null"}, say("∅ no value")))
        if (filter === model.view.filters[column.name]) made.setAttribute("aria-current", "true")
        return made
      }))
      note.textContent = found.note
      if (!list.contains(grid.focused())) list.querySelector("[role=menuitem]")?.focus()
    }
  }

  // ------------------------------------------------------------------ the menu of a row
  function openRow(row, anchor) {
    const inside = anchor.closest("tr").querySelector('td[tabindex="0"]') ?? anchor
    const list = menuOf([linkItem(say("Open"), "Enter", row.href)])
    for (const {label, href} of row.actions ?? []) list.append(linkItem(label, "", href))
    if (grid.keepsRestrictions) {
      list.append(item(say("Keep to this row on every page"), "", () => { close(); send({type: "restrict", row: row.id}) }))
    }
    const parents = make("div", {role: "group", "aria-label": say("Refers to")})
    const children = make("div", {role: "group", "aria-label": say("Referred to by")})
    const note = make("p", {class: "about", role: "status"}, say("Looking for what belongs to it…"))
    list.append(parents, children)
    open("row", anchor, make("div", {}, list, note), say("Row {row}", {row: row.label}), {role: "menu", focus: inside})
    list.querySelector("[role=menuitem]").focus()
    send({type: "relatives", row: row.id})
    waiting.relatives = found => {
      if (found.row !== row.id) return
      const heading = text => make("p", {"aria-hidden": "true", class: "group"}, text)
      const drawn = items => items.map(([label, count, href]) => linkItem(label, count, href))
      if (found.parents.length) parents.replaceChildren(heading(say("Refers to")), ...drawn(found.parents))
      if (found.children.length) children.replaceChildren(heading(say("Referred to by")), ...drawn(found.children))
      note.textContent = found.note
      put(anchor, false)
    }
  }

  // ------------------------------------------------------------------ the columns
  function openColumns(anchor) {
    if (isOpen("columns")) return close()
    const list = make("ul", {class: "choices"})
    const draw = () => {
      const hidden = model.view.hidden
      list.replaceChildren(...grid.ordered().map(column => {
        const line = make("li", {})
        const box = make("input", {type: "checkbox", disabled: column.key})
        box.checked = !hidden.includes(column.name)
        box.addEventListener("change", () => {
          grid.layout({hidden: box.checked ? hidden_().filter(name => name !== column.name) : [...hidden_(), column.name]})
        })
        const width = make("input", {type: "text", inputmode: "numeric", size: 4, placeholder: say("auto"),
          "aria-label": say("Width of {name} in pixels", {name: column.name}), value: model.view.widths[column.name] ?? ""})
        width.addEventListener("change", () => {
          const {[column.name]: _, ...widths} = model.view.widths
          const wanted = Number.parseInt(width.value, 10)
          if (wanted > 0) widths[column.name] = Math.min(Math.max(wanted, NARROWEST), WIDEST)
          width.value = widths[column.name] ?? ""
          grid.layout({widths})
        })
        line.append(make("label", {}, box, make("span", {}, column.name), make("small", {}, column.about)), width)
        const moves = column.key ? [] : [[say("Earlier: {name}", {name: column.name}), "upper", -1],
          [say("Later: {name}", {name: column.name}), "lower", 1]]
        for (const [label, picture, step] of moves) {
          const move = button(label, picture, () => {
            const names = grid.ordered().filter(other => !other.key).map(other => other.name)
            const at = names.indexOf(column.name)
            if (!names[at + step]) return
            names.splice(at + step, 0, ...names.splice(at, 1))
            grid.layout({order: names})
            draw()
            list.querySelector(`button[aria-label="${CSS.escape(label)}"]`)?.focus()
          })
          line.append(move)
        }
        return line
      }))
    }
    const hidden_ = () => model.view.hidden
    draw()
    const all = button(say("As defined"), null, () => { grid.layout({hidden: [], order: [], widths: {}}); draw() }, {text: say("As defined")})
    const about = make("p", {class: "about"}, say("Columns of the key come first and stand still. This browser remembers the choice."))
    open("columns", anchor, make("div", {}, list, make("div", {class: "choices-foot"}, all, about)), say("Columns"), {end: true})
    list.querySelector("input:not(:disabled)")?.focus()
  }

  // ------------------------------------------------------------------ exports
  function openExport(anchor, isSelection) {
    const {count} = model.view // as text, which may be "more than …"
    const what = isSelection ? say("Export {n} selected", {n: grid.selection.size})
      : sayMany("Export {n} row", "Export {n} rows", count === "1" ? 1 : 2, {n: count})
    const formats = make("fieldset", {}, make("legend", {}, what))
    let chosen = "csv"
    for (const {id, label, about, missing} of model.formats) {
      const radio = make("input", {type: "radio", name: "format", value: id, checked: id === chosen, disabled: Boolean(missing)})
      radio.addEventListener("change", () => { chosen = id; values.disabled = !format().values })
      formats.append(make("label", {class: "choice"}, radio, make("span", {}, label), make("small", {}, missing || about)))
    }
    const format = () => model.formats.find(other => other.id === chosen)
    const values = make("input", {type: "checkbox"})
    const size = make("small", {role: "status"}, "")
    const parts = [formats]
    if (model.has_values) {
      parts.push(make("label", {class: "choice"}, values, make("span", {}, say("With arrays and other values kept in the rows")), size))
      send({type: "sizes", selected: isSelection})
    }
    const labels = make("input", {type: "checkbox"})
    if (model.has_labels) parts.push(make("label", {class: "choice"}, labels, make("span", {}, say("With what the parents are called")),
      make("small", {}, say("a column beside each key"))))
    const go = button(say("Export"), "download", () => {
      close()
      anchor.focus()
      send({type: "export", format: chosen, values: values.checked && !values.disabled, labels: labels.checked, selected: isSelection})
    }, {text: say("Export")})
    open("export", anchor, make("div", {class: "form"}, ...parts, go), say("Export"), {end: true})
    waiting.sizes = found => { size.textContent = found.text }
    formats.querySelector("input").focus()
  }

  // ------------------------------------------------------------------ views
  function openViews(anchor) {
    if (isOpen("views")) return close()
    const list = make("div", {class: "views"})
    const about = make("p", {class: "about", role: "status"}, say("Looking for views…"))
    const name = make("input", {type: "text", maxlength: 60, "aria-label": say("Name of the view"), placeholder: say("Name of this view")})
    const shares = make("input", {type: "checkbox"})
    const keep = button(say("Save"), null, () => {
      const text = name.value.trim()
      if (!text) { about.textContent = say("Give the view a name first."); name.focus(); return }
      if (shares.checked) send({type: "view", action: "save", name: text})
      else { grid.views.save(text); draw({shared: shared ?? [], note: say("Saved “{name}” in this browser.", {name: text})}) }
      name.value = ""
    }, {text: say("Save")})
    name.addEventListener("keydown", event => { if (event.key === "Enter") keep.click() })
    let shared = null
    const line = (text, href, hint, rename, remove) => {
      const made = make("div", {class: "line"}, make("a", {href}, text), make("small", {}, hint))
      const label = say("Rename {name}", {name: text})
      if (rename) made.append(button(label, null, () => renamed(made, text, rename), {text: say("Rename"), "aria-label": label}))
      if (remove) made.append(button(say("Delete {name}", {name: text}), "remove", remove))
      return made
    }
    function renamed(place, text, rename) {
      const field = make("input", {type: "text", maxlength: 60, value: text, "aria-label": say("New name of {name}", {name: text})})
      const done = () => { if (field.value.trim()) rename(field.value.trim()) }
      field.addEventListener("keydown", event => { if (event.key === "Enter") done() })
      place.replaceChildren(field, button(say("Rename"), null, done, {text: say("Rename")}))
      field.focus()
    }
    function draw(found) {
      shared = found.shared
      const mine = Object.entries(grid.views.all()).map(([text, href]) => line(text, href, say("only in this browser"),
        to => { grid.views.rename(text, to); draw({shared, note: ""}) },
        () => { grid.views.remove(text); draw({shared, note: say("Deleted “{name}”.", {name: text})}) }))
      const others = shared.map(({name: text, href, user, own}) => line(text, href, own ? say("shared by you") : say("shared by {user}", {user}),
        own && (to => send({type: "view", action: "rename", name: text, to})), own && (() => send({type: "view", action: "delete", name: text}))))
      list.replaceChildren(...mine, ...others)
      about.textContent = found.note || (mine.length + others.length ? "" : say("No view of this table is saved yet."))
    }
    const form = make("div", {class: "line"}, name, make("label", {}, shares, say("shared with everybody")), keep)
    open("views", anchor, make("div", {class: "form"}, list, about, form), say("Views"), {end: true})
    waiting.views = draw
    send({type: "view", action: "list"})
    name.focus()
  }

  function answer(data) {
    for (const [kind, act] of Object.entries(waiting)) if (data[kind]) act(data[kind])
  }
  return {openFilters, openRow, openColumns, openExport, openViews, answer, close: () => close()}
}
