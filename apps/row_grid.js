// One page of a table's rows: sorts and filters by asking Python, moves by keyboard like a spreadsheet.
//
// Python sends what to show (`view`) and what the columns are (`columns`). What is sorted, filtered or turned
// to is told to Python, which answers with another view; nothing is sorted here. All text from the database
// goes through textContent or setAttribute.

const TYPING_PAUSE = 400 // ms without a key before a filter is applied
const FROZEN_SHARE = 0.5 // key columns stand still while they take at most this share of the width

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
}

// What can be asked of a column: [label, what is typed, where the cursor goes from the end].
const EMPTINESS = [["is empty", "is empty"], ["is filled", "is filled"]]
const ORDERED = [["is", "="], ["is not", "!="], ["more than", ">"], ["at least", ">="], ["less than", "<"],
  ["at most", "<="], ["from … to …", ".."]]
const OPERATORS = {
  text: [["contains", ""], ["is", "="], ["begins with", "^"], ["does not contain", "!"], ["is not", "!="]],
  json: [["contains", ""], ["does not contain", "!"]],
  number: ORDERED,
  moment: [...ORDERED, ["today", "today"]],
  time: [["is", "="], ["is not", "!="]],
  uuid: [["begins with", ""], ["is", "="], ["is not", "!="]],
}
const EXAMPLES = {text: "contains…", json: "contains…", number: "5  >5  5..9", moment: "2026-03  >2026",
  time: "09:30:00", uuid: "first digits"}

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

const remembered = {
  name: () => `dj-panel-row ${location.hash}`,
  save(id) { try { sessionStorage.setItem(this.name(), id) } catch { /* storage may be forbidden */ } },
  load() { try { return sessionStorage.getItem(this.name()) } catch { return null } },
}

export function render({model}) {
  const root = make("div", {class: "rows"})
  const count = make("p", {class: "count", role: "status"})
  const clear = button("Clear filters", "clear", () => send({type: "clear"}), {text: "Clear filters"})
  const said = make("span", {class: "said", role: "status"})
  const columnsButton = button("Columns", "columns", () => openColumns(), {text: "Columns", "aria-haspopup": "dialog"})
  const copyButton = button("Copy as Python", "copy", () => {
    copied(model.view.code).then(() => say("Copied"), () => say("This browser does not let pages copy"))
  }, {text: "Copy as Python"})
  const exportButton = button("Export CSV", "download", () => send({type: "export"}), {text: "Export CSV"})
  const bar = make("div", {class: "bar"}, count, clear, make("span", {class: "space"}), said, columnsButton,
    copyButton, exportButton)
  const frame = make("div", {class: "frame"})
  const head = make("thead")
  const body = make("tbody")
  const help = make("p", {class: "hidden", id: "help"},
    "Arrow keys move, Enter opens the row, Control and Enter follow the link of a cell, Page Up and Page Down turn pages.")
  const table = make("table", {role: "grid", "aria-label": model.label, "aria-describedby": "help"}, head, body)
  const note = make("div", {class: "note"})
  const popup = make("div", {class: "popup", hidden: true})
  const foot = make("div", {class: "foot"})
  frame.append(table, note)
  root.append(bar, frame, foot, help, popup)

  let place = {id: null, column: null} // the cell in the tab order
  let timers = {} // by column: the pause after typing
  let typed = {} // by column: what was typed and not yet answered
  let signature = "" // of the head that is drawn
  let known = null // ids of the rows of the last view of this page, to mark new ones

  const send = data => model.send_msg(data)
  const say = text => { said.textContent = text; setTimeout(() => { if (said.textContent === text) said.textContent = "" }, 4000) }
  const focused = () => root.getRootNode().activeElement
  const shown = () => model.columns.filter(column => !model.view.hidden.includes(column.name))

  // ------------------------------------------------------------------ head
  function drawHead() {
    const columns = shown()
    const now = JSON.stringify([columns, model.view.hidden])
    if (now !== signature) {
      signature = now
      typed = {}
      head.replaceChildren(make("tr"), make("tr", {class: "filters"}))
      const corner = make("th", {class: "frozen corner", scope: "col"}, make("span", {class: "hidden"}, "Open"))
      head.children[0].append(corner)
      head.children[1].append(make("td", {class: "frozen corner"}))
      for (const column of columns) {
        head.children[0].append(headCell(column))
        head.children[1].append(filterCell(column))
      }
    }
    for (const cell of head.querySelectorAll("th[data-name]")) markSort(cell)
    for (const cell of head.querySelectorAll("td[data-name]")) fillFilter(cell)
  }

  function headCell(column) {
    const cell = make("th", {scope: "col", "data-name": column.name, class: classes(column)})
    const sorts = make(column.sortable ? "button" : "span", {class: "title", type: column.sortable ? "button" : null})
    if (column.key) sorts.append(icon("key"), make("span", {class: "hidden"}, "Key:"))
    sorts.append(make("span", {}, column.name))
    if (column.unit) sorts.append(make("span", {class: "unit"}, column.unit))
    cell.title = column.about
    if (column.sortable) {
      sorts.append(make("span", {class: "arrow"}))
      sorts.addEventListener("click", event => sortBy(column.name, event.shiftKey))
    }
    cell.append(sorts)
    return cell
  }

  function markSort(cell) {
    const place = model.view.sort.findIndex(([name]) => name === cell.dataset.name)
    const arrow = cell.querySelector(".arrow")
    if (!arrow) return
    if (place < 0) { arrow.replaceChildren(); cell.removeAttribute("aria-sort"); return }
    const down = model.view.sort[place][1]
    cell.setAttribute("aria-sort", down ? "descending" : "ascending")
    arrow.replaceChildren(icon(down ? "down" : "up"), model.view.sort.length > 1 ? String(place + 1) : "")
  }

  function sortBy(name, adds) {
    const before = model.view.sort.find(([other]) => other === name)
    const next = !before ? [[name, false]] : before[1] ? [] : [[name, true]]
    const others = adds ? model.view.sort.filter(([other]) => other !== name) : []
    send({type: "sort", sort: [...others, ...next]})
  }

  function filterCell(column) {
    const cell = make("td", {"data-name": column.name, class: classes(column)})
    const label = `Filter ${column.name}`
    const message = make("p", {class: "wrong", id: `wrong-${column.name}`, role: "alert", hidden: true})
    const choices = column.choices
    let field
    if (choices) {
      field = make("select", {"aria-label": label}, make("option", {value: ""}, "any"))
      for (const choice of choices) field.append(make("option", {value: choice}, choice))
      field.addEventListener("change", () => apply(column.name, field.value, false))
    } else {
      field = make("input", {type: "text", size: 1, "aria-label": label, placeholder: EXAMPLES[column.filter], autocomplete: "off",
        autocapitalize: "off", spellcheck: "false"})
      let goesOn = false // the same visit to the field: one step in the browser's history
      field.addEventListener("focus", () => { goesOn = false })
      field.addEventListener("input", () => {
        typed[column.name] = field.value
        clearTimeout(timers[column.name])
        timers[column.name] = setTimeout(() => { apply(column.name, field.value, goesOn); goesOn = true }, TYPING_PAUSE)
      })
      field.addEventListener("keydown", event => {
        if (event.key === "Enter") { apply(column.name, field.value, goesOn); goesOn = true }
        if (event.key === "Escape" && field.value) { field.value = ""; apply(column.name, "", goesOn); event.stopPropagation() }
        if (event.key === "ArrowDown") { event.preventDefault(); if (event.altKey) openOperators(column, field); else focusCell(0, column.name) }
      })
      field.addEventListener("blur", () => { if (typed[column.name] !== undefined) apply(column.name, field.value, goesOn) })
    }
    field.setAttribute("aria-describedby", message.id)
    const box = make("div", {class: "field"}, field)
    if (!choices) {
      const more = button(`Ways to filter ${column.name}`, "more", () => openOperators(column, field), {"aria-haspopup": "menu"})
      more.tabIndex = -1
      box.append(more)
    }
    cell.append(box, message)
    return cell
  }

  function apply(name, text, goesOn) {
    clearTimeout(timers[name])
    delete timers[name]
    delete typed[name]
    if (text.trim() === (model.view.filters[name] ?? "") && !model.view.problems[name]) return
    send({type: "filter", name, text, goes_on: goesOn})
  }

  function fillFilter(cell) {
    const name = cell.dataset.name
    const field = cell.querySelector("input, select")
    const problem = model.view.problems[name]
    const message = cell.querySelector(".wrong")
    const text = problem ? problem.text : model.view.filters[name] ?? ""
    if (typed[name] === undefined && !(focused() === field && problem)) field.value = text
    if (field.tagName === "SELECT" && field.value !== text) {
      // A filter from the address that is not among the choices, such as "!= good".
      field.append(make("option", {value: text}, text))
      field.value = text
    }
    cell.classList.toggle("active", text !== "")
    if (problem) field.setAttribute("aria-invalid", "true")
    else field.removeAttribute("aria-invalid")
    message.hidden = !problem
    const words = problem ? problem.message : ""
    if (message.textContent !== words) message.textContent = words
  }

  const classes = column => [column.key ? "frozen key" : "", column.number ? "number" : ""].join(" ").trim()

  // ------------------------------------------------------------------ body
  function drawBody(isQuiet) {
    const hadFocus = body.contains(focused())
    const at = hadFocus ? [...body.children].indexOf(focused().closest("tr")) : -1
    const columns = shown()
    const indices = columns.map(column => model.columns.indexOf(column))
    body.replaceChildren(...model.view.rows.map(row => bodyRow(row, columns, indices, isQuiet)))
    known = new Set(model.view.rows.map(row => row.id))
    let index = model.view.rows.findIndex(row => row.id === place.id)
    if (index < 0) index = Math.min(Math.max(at, 0), model.view.rows.length - 1)
    if (!columns.some(column => column.name === place.column)) place.column = columns[0]?.name ?? null
    markPlace(index)
    if (hadFocus && index >= 0) cellAt(index, place.column)?.focus({preventScroll: isQuiet})
    frame.classList.toggle("blank", !model.view.rows.length)
    freeze()
  }

  function bodyRow(row, columns, indices, isQuiet) {
    const line = make("tr", {"data-id": row.id})
    if (isQuiet && known && !known.has(row.id)) line.className = "fresh"
    const open = make("a", {href: row.href, tabindex: -1, "aria-label": `Open ${row.label}`}, icon("open"))
    line.append(make("td", {class: "frozen corner"}, open))
    columns.forEach((column, place) => line.append(bodyCell(column, row.cells[indices[place]])))
    return line
  }

  function bodyCell(column, [text, kind, href]) {
    const cell = make("td", {"data-name": column.name, class: classes(column), tabindex: -1, role: "gridcell"})
    if (kind === "null") {
      cell.append(make("span", {class: "null", title: "No value"}, make("span", {"aria-hidden": "true"}, "∅"),
        make("span", {class: "hidden"}, "no value")))
      return cell
    }
    if (kind === "problem") { cell.append(make("span", {class: "chip bad"}, text)); return cell }
    const inner = href ? make("a", {href, tabindex: -1, class: kind === "value" ? "chip" : "link"}, text) : text
    cell.append(inner)
    if (text.length > 30) cell.title = text
    return cell
  }

  // The first key columns stand still on the left, as many as leave room for the others.
  function freeze() {
    const cells = [...head.children[0]?.children ?? []].filter(cell => cell.classList.contains("frozen"))
    const lefts = []
    let left = 0
    for (const cell of cells) {
      if (left + cell.offsetWidth > frame.clientWidth * FROZEN_SHARE) break
      lefts.push(left)
      left += cell.offsetWidth
    }
    for (const line of [...head.children, ...body.children]) {
      for (let number = 0; number < cells.length; number += 1) {
        const cell = line.children[number]
        const stands = number < lefts.length
        cell.style.left = stands ? `${lefts[number]}px` : ""
        cell.classList.toggle("still", stands)
        cell.classList.toggle("edge", stands && number === lefts.length - 1 && number > 0)
      }
    }
    const height = head.children[0]?.offsetHeight ?? 0
    if (head.children[1]) head.children[1].style.setProperty("--top", `${height}px`)
  }

  // ------------------------------------------------------------------ moving
  const cellAt = (index, name) => body.children[index]?.querySelector(`td[data-name="${CSS.escape(name ?? "")}"]`)

  function markPlace(index) {
    for (const cell of body.querySelectorAll('td[tabindex="0"]')) cell.tabIndex = -1
    for (const line of body.querySelectorAll("tr[aria-selected]")) line.removeAttribute("aria-selected")
    const cell = index >= 0 ? cellAt(index, place.column) : null
    if (!cell) return
    cell.tabIndex = 0
    if (model.view.rows[index].id === place.id) body.children[index].setAttribute("aria-selected", "true")
  }

  function focusCell(index, name) {
    const line = body.children[index]
    const cell = cellAt(index, name) ?? line?.querySelector("td[data-name]")
    if (!cell) return
    place = {id: line.dataset.id, column: cell.dataset.name}
    markPlace(index)
    cell.focus({preventScroll: true})
    reveal(cell)
  }

  function reveal(cell) {
    // What stands still covers a part of the frame, of which scrollIntoView knows nothing.
    const box = cell.getBoundingClientRect(), around = frame.getBoundingClientRect()
    const top = around.top + head.offsetHeight
    const edge = [...head.children[0].children].filter(other => other.classList.contains("still")).at(-1)
    const left = edge ? edge.getBoundingClientRect().right : around.left
    if (box.top < top) frame.scrollTop -= top - box.top
    else if (box.bottom > around.top + frame.clientHeight) frame.scrollTop += box.bottom - around.top - frame.clientHeight
    if (cell.classList.contains("still")) return
    if (box.left < left) frame.scrollLeft -= left - box.left
    else if (box.right > around.left + frame.clientWidth) frame.scrollLeft += box.right - around.left - frame.clientWidth
    cell.scrollIntoView({block: "nearest", inline: "nearest"})
  }

  body.addEventListener("keydown", event => {
    const cell = event.target.closest("td[data-name]")
    if (!cell || event.altKey) return
    const line = cell.parentElement
    const index = [...body.children].indexOf(line)
    const names = shown().map(column => column.name)
    const column = names.indexOf(cell.dataset.name)
    const last = body.children.length - 1
    const control = event.ctrlKey || event.metaKey
    const moves = {
      ArrowDown: () => focusCell(Math.min(index + 1, last), names[column]),
      ArrowUp: () => index ? focusCell(index - 1, names[column]) : head.querySelector(`td[data-name="${CSS.escape(names[column])}"] :is(input, select)`).focus(),
      ArrowLeft: () => focusCell(index, names[Math.max(column - 1, 0)]),
      ArrowRight: () => focusCell(index, names[Math.min(column + 1, names.length - 1)]),
      Home: () => focusCell(control ? 0 : index, names[0]),
      End: () => focusCell(control ? last : index, names[names.length - 1]),
      PageDown: () => { if (model.view.has_next) turn(model.view.page + 1) },
      PageUp: () => { if (model.view.page > 1) turn(model.view.page - 1) },
      Enter: () => {
        const link = control ? cell.querySelector("a") : null
        open(line, link ? link.getAttribute("href") : null)
      },
    }
    if (!moves[event.key]) return
    event.preventDefault()
    moves[event.key]()
  })
  body.addEventListener("focusin", event => {
    const cell = event.target.closest("td[data-name]")
    if (!cell) return
    place = {id: cell.parentElement.dataset.id, column: cell.dataset.name}
    markPlace([...body.children].indexOf(cell.parentElement))
  })
  body.addEventListener("click", event => {
    const line = event.target.closest("tr")
    if (!line) return
    if (event.target.closest("a")) { remembered.save(line.dataset.id); return }
    // Text that was marked with the mouse, to be copied, ends with a click too.
    const selection = root.getRootNode().getSelection?.() ?? getSelection()
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || !selection.isCollapsed) return
    open(line, null)
  })

  function open(line, href) {
    remembered.save(line.dataset.id)
    location.hash = href ?? line.querySelector("a").getAttribute("href")
  }

  const turn = page => { known = null; send({type: "page", page}) }

  // ------------------------------------------------------------------ below the table
  const size = make("select", {"aria-label": "Rows a page"}, ...[25, 50, 100, 250].map(n => make("option", {value: n}, String(n))))
  size.addEventListener("change", () => send({type: "size", size: Number(size.value)}))
  const range = make("span", {class: "range", role: "status"})
  const pages = {
    first: button("First page", "first", () => turn(1)),
    back: button("Previous page", "back", () => turn(model.view.page - 1)),
    number: make("input", {type: "text", inputmode: "numeric", "aria-label": "Page"}),
    forward: button("Next page", "forward", () => turn(model.view.page + 1)),
    last: button("Last page", "last", () => turn(model.view.last_page)),
  }
  pages.number.addEventListener("change", () => {
    const wanted = Number.parseInt(pages.number.value, 10)
    if (wanted >= 1) turn(wanted)
    else pages.number.value = model.view.page
  })
  const total = make("span", {class: "total"})
  foot.append(make("label", {class: "size"}, "Rows a page ", size), range,
    make("nav", {class: "pages", "aria-label": "Pages of rows"}, pages.first, pages.back, pages.number, total, pages.forward, pages.last))

  function drawFoot() {
    const {view} = model
    if (![...size.options].some(option => option.value === String(view.page_size))) size.append(make("option", {}, String(view.page_size)))
    size.value = String(view.page_size)
    const first = (view.page - 1) * view.page_size + 1
    range.textContent = view.rows.length
      ? `${first.toLocaleString("en")}–${(first + view.rows.length - 1).toLocaleString("en")} of ${view.count}` : ""
    if (focused() !== pages.number) pages.number.value = view.page
    total.textContent = view.last_page ? `of ${view.last_page.toLocaleString("en")}` : ""
    pages.first.disabled = pages.back.disabled = view.page <= 1
    pages.forward.disabled = !view.has_next
    pages.last.disabled = !view.last_page || view.page >= view.last_page
    foot.hidden = !view.rows.length && view.page <= 1
  }

  // ------------------------------------------------------------------ popups
  let closePopup = () => {}

  function openPopup(anchor, content, attributes, narrow = false) {
    closePopup()
    popup.replaceChildren(content)
    for (const name of ["role", "aria-label"]) popup.setAttribute(name, attributes[name])
    popup.hidden = false
    anchor.setAttribute("aria-expanded", "true")
    const box = anchor.getBoundingClientRect(), around = root.getBoundingClientRect()
    const width = popup.offsetWidth
    popup.style.left = `${Math.max(0, Math.min(box[narrow ? "right" : "left"] - around.left - (narrow ? width : 0), around.width - width))}px`
    popup.style.top = `${box.bottom - around.top + 4}px`
    const outside = event => { if (!event.composedPath().includes(popup) && !event.composedPath().includes(anchor)) closePopup() }
    const escape = event => { if (event.key === "Escape") { event.stopPropagation(); closePopup(); anchor.focus() } }
    document.addEventListener("pointerdown", outside, true)
    root.addEventListener("keydown", escape)
    closePopup = () => {
      popup.hidden = true
      anchor.setAttribute("aria-expanded", "false")
      document.removeEventListener("pointerdown", outside, true)
      root.removeEventListener("keydown", escape)
      closePopup = () => {}
    }
  }

  function openColumns() {
    if (!popup.hidden && popup.dataset.of === "columns") return closePopup()
    const list = make("div", {class: "choices"})
    const columns = model.columns.filter(column => !column.key) // those of the key always stay
    const boxes = columns.map(column => {
      const box = make("input", {type: "checkbox"})
      box.checked = !model.view.hidden.includes(column.name)
      box.addEventListener("change", () => {
        send({type: "columns", hidden: columns.filter((other, place) => !boxes[place].checked).map(other => other.name)})
      })
      list.append(make("label", {}, box, make("span", {}, column.name), make("small", {}, column.about)))
      return box
    })
    if (!columns.length) list.append(make("p", {}, "This table has only its key."))
    const all = button("Show all", null, () => { for (const box of boxes) box.checked = true; send({type: "columns", hidden: []}) }, {text: "Show all"})
    openPopup(columnsButton, make("div", {}, list, make("div", {class: "choices-foot"}, all)), {role: "dialog", "aria-label": "Columns"}, true)
    popup.dataset.of = "columns"
    boxes[0]?.focus()
  }

  function openOperators(column, field) {
    const list = make("div", {class: "menu"})
    for (const [label, text] of [...OPERATORS[column.filter], ...EMPTINESS]) {
      const item = make("button", {type: "button", role: "menuitem", tabindex: -1}, make("span", {}, label), make("kbd", {}, text || "…"))
      item.addEventListener("click", () => {
        closePopup()
        const isWhole = /^[a-z]/.test(text)
        const rest = field.value.replace(/^(!=|<=|>=|[=<>^!])/, "").replace(/^(is empty|is filled|today)$/, "").replace("..", "")
        field.value = isWhole ? text : text === ".." ? `${rest}..` : text + rest
        field.focus()
        if (isWhole || rest) apply(column.name, field.value, false)
        else typed[column.name] = field.value
      })
      list.append(item)
    }
    list.addEventListener("keydown", event => {
      const step = {ArrowDown: 1, ArrowUp: -1}[event.key]
      if (!step) return
      event.preventDefault()
      const items = [...list.children]
      items[(items.indexOf(focused()) + step + items.length) % items.length].focus()
    })
    openPopup(field.parentElement, list, {role: "menu", "aria-label": `Ways to filter ${column.name}`})
    popup.dataset.of = "operators"
    list.firstChild.focus()
  }

  // ------------------------------------------------------------------ all of it
  function drawNote() {
    const {state, message, hint} = model.view
    root.dataset.state = state
    note.hidden = state === "rows" || state === "loading"
    note.replaceChildren()
    if (note.hidden) return
    note.setAttribute("role", state === "error" ? "alert" : "status")
    note.append(make("strong", {}, message))
    if (hint) note.append(make("span", {}, hint))
    if (state === "no-match") note.append(button("Clear filters", null, () => send({type: "clear"}), {text: "Clear filters"}))
    if (state === "error") note.append(button("Try again", null, () => send({type: "again"}), {text: "Try again"}))
    if (state === "empty" && model.view.add) note.append(make("a", {class: "button", href: model.view.add}, "Add the first row"))
  }

  function draw() {
    const {view} = model
    count.textContent = view.count_text
    clear.hidden = !Object.keys(view.filters).length
    table.setAttribute("aria-rowcount", view.is_capped ? -1 : view.n_rows)
    table.setAttribute("aria-busy", view.state === "loading")
    if (view.state === "loading") { root.dataset.state = "loading"; fillAll(); return }
    drawHead()
    drawBody(view.quiet)
    drawNote()
    drawFoot()
  }
  function fillAll() { for (const cell of head.querySelectorAll("td[data-name]")) fillFilter(cell) }

  model.on("view", draw)
  model.on("columns", draw)
  model.on("msg:custom", message => {
    const data = message.data ?? message
    if (data.download) {
      const link = make("a", {href: data.download, download: ""})
      document.body.append(link)
      link.click()
      link.remove()
      say("The file is on its way")
    }
  })
  const resized = new ResizeObserver(() => freeze())
  resized.observe(frame)
  model.on("remove", () => resized.disconnect())

  place.id = remembered.load()
  draw()
  // Coming back from a record: the shell focuses the heading, and the row is a better place to go on from.
  if (place.id && model.view.rows.some(row => row.id === place.id)) {
    const arrived = new MutationObserver(() => {
      if (document.body.classList.contains("busy")) return
      arrived.disconnect()
      const index = model.view.rows.findIndex(row => row.id === place.id)
      if (index >= 0 && [document.body, document.getElementById("heading")].includes(document.activeElement)) {
        focusCell(index, place.column)
      }
    })
    arrived.observe(document.body, {attributes: true, attributeFilter: ["class"]})
    model.on("remove", () => arrived.disconnect())
  }
  return root
}
