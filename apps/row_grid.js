// One page of a table's rows: sorts and filters by asking Python, moves by keyboard like a spreadsheet.
//
// Python sends what to show (`view`) and what the columns are (`columns`). What is sorted, filtered or turned
// to is told to Python, which answers with another view; nothing is sorted here. Its parts are in the files
// row_grid_….js, which stand in front of this one.

const SIZES = [25, 50, 100, 250]

export function render({model}) {
  const root = make("div", {class: "rows"})
  const frame = make("div", {class: "frame"})
  const head = make("thead")
  const body = make("tbody")
  const popup = make("div", {class: "popup", hidden: true})
  const said = make("span", {class: "said", role: "status"})
  const grid = {model, root, frame, head, body, popup, place: {id: null, column: null}, keepsRestrictions: model.keeps_restrictions}
  grid.send = data => {
    if (data.type !== "select") grid.selection?.tell()
    model.send_msg(data)
  }
  grid.announce = text => { said.textContent = text; setTimeout(() => { if (said.textContent === text) said.textContent = "" }, 4000) }
  grid.focused = () => root.getRootNode().activeElement

  // ------------------------------------------------------------------ columns: which, in what order, how wide
  grid.ordered = () => {
    const order = model.view.order
    const place = column => { const at = order.indexOf(column.name); return at < 0 ? order.length : at }
    const others = model.columns.filter(column => !column.key).map((column, number) => [place(column), number, column])
    return [...model.columns.filter(column => column.key), ...others.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , column]) => column)]
  }
  grid.shown = () => grid.ordered().filter(column => !model.view.hidden.includes(column.name))
  grid.setWidth = (cell, name) => {
    const width = model.view.widths[name]
    for (const property of ["width", "minWidth", "maxWidth"]) cell.style[property] = width ? `${width}px` : ""
    cell.classList.toggle("sized", Boolean(width))
  }
  grid.setWidths = widths => {
    model.view.widths = widths
    for (const cell of root.querySelectorAll("[data-name]")) grid.setWidth(cell, cell.dataset.name)
  }
  const LAYOUT = ["hidden", "order", "widths"]
  grid.layout = changes => {
    Object.assign(model.view, changes)
    const now = Object.fromEntries(LAYOUT.map(name => [name, model.view[name]]))
    stored.save(model.memory, now)
    grid.send({type: "columns", ...now})
    draw()
  }
  function rememberedLayout() {
    const kept = stored.load(model.memory)
    const isPlain = !model.view.hidden.length && !model.view.order.length && !Object.keys(model.view.widths).length
    if (!isPlain || !kept || !LAYOUT.every(name => kept[name])) return
    Object.assign(model.view, Object.fromEntries(LAYOUT.map(name => [name, kept[name]])))
    grid.send({type: "columns", ...kept})
  }

  // ------------------------------------------------------------------ views of this browser
  const shelf = `${model.memory}/views`
  grid.views = {
    all: () => stored.load(shelf) ?? {},
    save(name) { stored.save(shelf, {...this.all(), [name]: location.hash}) },
    remove(name) { const {[name]: _, ...others} = this.all(); stored.save(shelf, others) },
    rename(name, to) { const {[name]: hash, ...others} = this.all(); stored.save(shelf, {...others, [to]: hash}) },
  }

  // ------------------------------------------------------------------ the bar above
  const count = make("p", {class: "count", role: "status"})
  const clear = button(say("Clear filters"), "clear", () => grid.send({type: "clear"}), {text: say("Clear filters")})
  const opener = (label, picture, act) => {
    const made = button(label, picture, () => act(made), {text: label, "aria-haspopup": "dialog"})
    return made
  }
  const columnsButton = opener(say("Columns"), "columns", anchor => popups.openColumns(anchor))
  const viewsButton = opener(say("Views"), "views", anchor => popups.openViews(anchor))
  const exportButton = opener(say("Export"), "download", anchor => popups.openExport(anchor, false))
  const copyText = text =>
    copied(text).then(() => grid.announce(say("Copied")), () => grid.announce(say("This browser does not let pages copy")))
  const copyButton = button(say("Copy as Python"), "copy", () => grid.send({type: "code"}), {text: say("Copy as Python")})
  // Titles and filters of many columns stand before the first row.
  const skip = button(say("To the rows"), null, () => {
    const cell = body.querySelector('td[tabindex="0"]')
    if (cell) cell.focus()
    else grid.focusCell(0, grid.place.column)
  }, {text: say("To the rows")})
  skip.classList.add("skip")
  const bar = make("div", {class: "bar"}, skip, count, clear, make("span", {class: "space"}), said, columnsButton, viewsButton, copyButton,
    exportButton)

  const chosenText = make("span", {role: "status"})
  const chosenBar = make("div", {class: "bar chosen", role: "group", "aria-label": say("Selected rows"), hidden: true}, chosenText,
    button(say("Clear selection"), "clear", () => grid.selection.clear()),
    opener(say("Export selected"), null, anchor => popups.openExport(anchor, true)),
    button(say("Copy keys as Python"), null, () => grid.send({type: "keys"}), {text: say("Copy keys as Python")}))
  if (model.computes) {
    chosenBar.append(button(say("Compute selected"), null, () => grid.send({type: "compute"}), {text: say("Compute selected")}))
  }
  if (model.edits) {
    chosenBar.append(button(say("Edit selected…"), null, () => grid.send({type: "edit"}), {text: say("Edit selected…")}))
  }
  if (model.deletes) {
    chosenBar.append(button(say("Delete selected…"), null, () => grid.send({type: "delete"}), {text: say("Delete selected…")}))
  }
  grid.showSelection = (n, here) => {
    chosenBar.hidden = !n
    const text = !n ? "" : n === here ? sayMany("{n} row selected", "{n} rows selected", n)
      : sayMany("{n} row selected, {others} on other pages", "{n} rows selected, {others} on other pages", n, {others: n - here})
    if (chosenText.textContent !== text) chosenText.textContent = text
  }

  const help = make("p", {class: "hidden", id: "help"},
    say("Arrow keys move, Enter opens the row, Control and Enter follow the link of a cell, Space selects the row, Shift and arrow keys select several, Shift and F10 open its menu, Page Up and Page Down turn pages."))
  const table = make("table", {role: "grid", "aria-label": model.label, "aria-describedby": "help", "aria-multiselectable": true}, head, body)
  const note = make("div", {class: "note"})
  const foot = make("div", {class: "foot"})
  frame.append(table, note)
  // Below the rows: above them it would move the next row away from under the pointer.
  root.append(bar, frame, chosenBar, foot, help, popup)

  grid.selection = gridSelection(grid)
  grid.head_ = gridHead(grid)
  const rows = gridBody(grid)
  const popups = gridPopups(grid)
  grid.focusCell = rows.focusCell
  grid.openFilters = popups.openFilters
  grid.openRow = popups.openRow
  const turn = rows.turn

  // ------------------------------------------------------------------ below the table
  const size = make("select", {"aria-label": say("Rows a page")}, ...SIZES.map(n => make("option", {value: n}, String(n))))
  size.addEventListener("change", () => grid.send({type: "size", size: Number(size.value)}))
  const range = make("span", {class: "range", role: "status"})
  const pages = {
    first: button(say("First page"), "first", () => turn(1)),
    back: button(say("Previous page"), "back", () => turn(model.view.page - 1)),
    number: make("input", {type: "text", inputmode: "numeric", "aria-label": say("Page")}),
    forward: button(say("Next page"), "forward", () => turn(model.view.page + 1)),
    last: button(say("Last page"), "last", () => turn(model.view.last_page || -1)),
  }
  pages.number.addEventListener("change", () => {
    const wanted = Number.parseInt(pages.number.value, 10)
    if (wanted >= 1) turn(wanted)
    else pages.number.value = model.view.page_text
  })
  const total = make("span", {class: "total"})
  foot.append(make("label", {class: "size"}, say("Rows a page"), " ", size), range,
    make("nav", {class: "pages", "aria-label": say("Pages of rows")}, pages.first, pages.back, pages.number, total, pages.forward, pages.last))

  function drawFoot() {
    const {view} = model
    if (![...size.options].some(option => option.value === String(view.page_size))) size.append(make("option", {}, String(view.page_size)))
    size.value = String(view.page_size)
    range.textContent = view.range
    if (grid.focused() !== pages.number) pages.number.value = view.page_text
    total.textContent = view.last_page ? say("of {last}", {last: view.last_page}) : ""
    pages.first.disabled = pages.back.disabled = view.page === 1
    pages.forward.disabled = !view.has_next
    pages.last.disabled = !view.has_next
    foot.hidden = !view.rows.length && view.page === 1
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
    const way = (text, type) => note.append(button(text, null, () => grid.send({type}), {text}))
    if (state === "no-match") way(say("Clear filters"), "clear")
    if (state === "error") way(say("Try again"), "again")
    if (state === "empty" && model.view.add) note.append(make("a", {class: "button", href: model.view.add}, say("Add the first row")))
  }

  function draw() {
    const {view} = model
    count.textContent = view.count_text
    clear.hidden = !Object.keys(view.filters).length
    table.setAttribute("aria-rowcount", view.is_capped ? -1 : view.n_rows)
    table.setAttribute("aria-busy", view.state === "loading")
    if (view.state === "loading") { root.dataset.state = "loading"; grid.head_.fill(); return }
    grid.selection.take()
    grid.head_.draw()
    rows.draw(view.quiet)
    drawNote()
    drawFoot()
  }

  model.on("view", draw)
  model.on("columns", draw)
  model.on("msg:custom", message => {
    const data = message.data ?? message
    popups.answer(data)
    if (data.copy) copyText(data.copy)
    if (data.download) {
      const link = make("a", {href: data.download, download: ""})
      document.body.append(link)
      link.click()
      link.remove()
      grid.announce(say("The file is on its way"))
    }
  })
  const resized = new ResizeObserver(() => rows.freeze())
  resized.observe(frame)
  model.on("remove", () => resized.disconnect())

  grid.place.id = remembered.load()
  rememberedLayout()
  draw()
  // Coming back from a record: the shell focuses the heading, and the row is a better place to go on from.
  if (grid.place.id && model.view.rows.some(row => row.id === grid.place.id)) {
    const arrived = new MutationObserver(() => {
      if (document.body.classList.contains("busy")) return
      arrived.disconnect()
      const index = model.view.rows.findIndex(row => row.id === grid.place.id)
      if (index >= 0 && [document.body, document.getElementById("heading")].includes(document.activeElement)) {
        rows.focusCell(index, grid.place.column)
      }
    })
    arrived.observe(document.body, {attributes: true, attributeFilter: ["class"]})
    model.on("remove", () => arrived.disconnect())
  }
  return root
}
