// The head of the grid of rows: names to sort by, with a handle for the width, and a filter for each column.

const TYPING_PAUSE = 400 // ms without a key before a filter is applied
const NARROWEST = 40, WIDEST = 1000

function gridHead(grid) {
  const {model, head, send} = grid
  let timers = {} // by column: the pause after typing
  let typed = {} // by column: what was typed and not yet answered
  let signature = "" // of the head that is drawn

  const classes = column => [column.key ? "frozen key" : "", column.number ? "number" : ""].join(" ").trim()

  function draw() {
    const columns = grid.shown()
    const now = JSON.stringify([columns, model.view.widths])
    if (now !== signature) {
      signature = now
      const at = head.contains(grid.focused()) ? grid.focused().closest("[data-name]") : null
      const spot = at && [at.tagName, at.dataset.name, grid.focused().selectionStart]
      head.replaceChildren(make("tr"), make("tr", {class: "filters"}))
      head.children[0].append(make("th", {class: "frozen corner", scope: "col"}, grid.selection.box()))
      head.children[1].append(make("td", {class: "frozen corner"}))
      for (const column of columns) {
        head.children[0].append(headCell(column))
        head.children[1].append(filterCell(column))
      }
      if (spot) {
        const field = head.querySelector(`${spot[0]}[data-name="${CSS.escape(spot[1])}"] :is(input, select, button)`)
        field?.focus({preventScroll: true})
        if (field?.setSelectionRange && spot[2] !== null) field.setSelectionRange(spot[2], spot[2])
      }
    }
    for (const cell of head.querySelectorAll("th[data-name]")) markSort(cell)
    fill()
  }

  function headCell(column) {
    const cell = make("th", {scope: "col", "data-name": column.name, class: classes(column)})
    const sorts = make(column.sortable ? "button" : "span", {class: "title", type: column.sortable ? "button" : null})
    if (column.key) sorts.append(icon("key"), make("span", {class: "hidden"}, say("Key:")))
    sorts.append(make("span", {}, column.name))
    if (column.unit) sorts.append(make("span", {class: "unit"}, column.unit))
    cell.title = column.about
    if (column.sortable) {
      sorts.append(make("span", {class: "arrow"}))
      sorts.addEventListener("click", event => sortBy(column.name, event.shiftKey))
    }
    cell.append(sorts, handle(column, cell))
    grid.setWidth(cell, column.name)
    return cell
  }

  // Dragging is for the mouse; the dialog of the columns takes widths as numbers.
  function handle(column, cell) {
    const made = make("span", {class: "handle", "aria-hidden": "true"})
    made.addEventListener("pointerdown", event => {
      event.preventDefault()
      made.setPointerCapture(event.pointerId)
      const from = event.clientX, before = cell.offsetWidth
      const width = move => Math.round(Math.min(Math.max(before + move.clientX - from, NARROWEST), WIDEST))
      const move = moved => grid.setWidths({...model.view.widths, [column.name]: width(moved)})
      made.addEventListener("pointermove", move)
      made.addEventListener("pointerup", ended => {
        made.removeEventListener("pointermove", move)
        grid.layout({widths: {...model.view.widths, [column.name]: width(ended)}})
      }, {once: true})
    })
    made.addEventListener("dblclick", () => {
      const {[column.name]: _, ...widths} = model.view.widths
      grid.layout({widths})
    })
    return made
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
    const label = say("Filter {name}", {name: column.name})
    const message = make("p", {class: "wrong", id: `wrong-${column.name}`, role: "alert", hidden: true})
    const field = column.choices ? chooser(column, label) : writer(column, label)
    field.setAttribute("aria-describedby", message.id)
    field.addEventListener("keydown", event => {
      if (event.key !== "ArrowDown" || (column.choices && !event.altKey)) return
      event.preventDefault()
      if (event.altKey) grid.openFilters(column, field)
      else grid.focusCell(0, column.name)
    })
    const more = button(say("Ways to filter {name}", {name: column.name}), "more", () => grid.openFilters(column, field), {"aria-haspopup": "menu"})
    more.tabIndex = -1
    cell.append(make("div", {class: column.choices ? "field chosen" : "field"}, field, more), message)
    grid.setWidth(cell, column.name)
    return cell
  }

  // The words of a filter in the visitor's language; those of an enum are its own.
  function shownChoice(column, choice) {
    if (choice === "is filled") return say("is filled")
    if (choice === "is empty") return say("is empty")
    if (column.filter !== "yes-no") return choice
    return choice === "yes" ? say("yes") : say("no")
  }
  function chooser(column, label) {
    const field = make("select", {"aria-label": label}, make("option", {value: ""}, say("any")))
    for (const choice of column.choices) field.append(make("option", {value: choice}, shownChoice(column, choice)))
    field.addEventListener("change", () => apply(column.name, field.value, false))
    return field
  }

  function writer(column, label) {
    const field = make("input", {type: "text", size: 1, "aria-label": label, placeholder: EXAMPLES[column.filter], autocomplete: "off",
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
    })
    field.addEventListener("blur", () => { if (typed[column.name] !== undefined) apply(column.name, field.value, goesOn) })
    return field
  }

  function apply(name, text, goesOn) {
    clearTimeout(timers[name])
    delete timers[name]
    delete typed[name]
    const before = [model.view.filters[name] ?? "", model.view.said[name] ?? ""]
    if (before.includes(text.trim()) && !model.view.problems[name]) return
    send({type: "filter", name, text, goes_on: goesOn})
  }

  function fill() {
    for (const cell of head.querySelectorAll("td[data-name]")) fillFilter(cell)
  }

  function fillFilter(cell) {
    const name = cell.dataset.name
    const field = cell.querySelector("input, select")
    const problem = model.view.problems[name]
    const message = cell.querySelector(".wrong")
    const filters = field.tagName === "SELECT" ? model.view.filters : model.view.said
    const text = problem ? problem.text : filters[name] ?? ""
    if (typed[name] !== undefined) field.value = typed[name]
    else if (!(grid.focused() === field && problem)) field.value = text
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

  // What the menu of a column puts into its filter; it may be the beginning of what is then typed.
  function put(column, field, text, isWhole) {
    field.value = text
    field.focus()
    if (isWhole) apply(column.name, text, false)
    else typed[column.name] = text
  }

  return {draw, fill, put, classes}
}
