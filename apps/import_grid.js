// A page of the rows of an import. Only what is visible is here; a cell that is changed is checked by the server.
//
// Arrows move, Enter, F2 or a letter begins to edit, Enter goes down, Tab to the right, Escape gives up, F8 goes to
// the next problem.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "")
    else if (value !== false && value !== null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

function forgetPasted(place) {
  try { localStorage.removeItem(place) } catch { /* a browser may keep nothing */ }
}

const WORDS = {new: say("New"), identical: say("Identical"), conflict: say("Conflict"), invalid: say("Invalid"), imported: say("Imported"), unchecked: say("Not checked")}

export function render({model}) {
  const head = make("thead")
  const body = make("tbody")
  const table = make("table", {role: "grid", "aria-label": say("Rows of the file")}, head, body)
  const scroll = make("div", {class: "scroll"}, table)
  const place = make("span", {class: "place", role: "status"})
  const button = (text, action) => {
    const made = make("button", {type: "button", class: "btn"}, text)
    made.addEventListener("click", action)
    return made
  }
  const previous = button(say("Previous"), () => turn(-1))
  const next = button(say("Next"), () => turn(1))
  const nextProblem = button(say("Next problem (F8)"), () => goToProblem())
  const help = make("span", {class: "note"}, say("Enter edits a cell"))
  const root = make("div", {class: "grid"},
    make("div", {class: "tools"}, nextProblem, help, make("span", {class: "space"}), place, previous, next),
    scroll)
  let at = {row: 0, column: 0}           // of the cell that Tab leads to
  let editing = null
  let focused = 0

  const view = () => model.view
  const cellAt = (row, column) => body.rows[row]?.cells[column + 2]
  const turn = (step) => model.send_msg({type: "page", first: Math.max(0, view().first + step * view().size)})

  function show() {
    const hadFocus = root.contains(root.getRootNode().activeElement) && body.contains(root.getRootNode().activeElement)
    // What is being typed stays: the answer for one cell comes while the next one is edited.
    const unfinished = editing
    editing = null
    const {columns, rows, first, total, size} = view()
    head.replaceChildren(make("tr", {}, make("th", {scope: "col"}, say("Row")), make("th", {scope: "col"}, say("Class")),
      ...columns.map((column) => make("th", {scope: "col"}, make("b", {}, column.attribute),
        column.name === column.attribute ? "" : make("span", {class: "note"}, column.name)))))
    body.replaceChildren(...rows.map((row, r) => make("tr", {class: row.kind},
      make("th", {scope: "row"}, String(row.number)),
      make("td", {class: "kind", tabindex: "-1"}, make("span", {class: `chip ${row.kind}`}, WORDS[row.kind]),
        row.note ? make("span", {class: "message"}, row.note) : ""),
      ...columns.map((column, c) => drawn(row, r, column, c)))))
    if (view().is_written) forgetPasted(model.place)
    root.hidden = total === 0 && !view().is_filtered
    place.textContent = total ? say("{first}–{last} of {total}", {first: first + 1, last: first + rows.length, total}) : say("No rows of this class")
    previous.disabled = first === 0
    next.disabled = first + size >= total
    nextProblem.hidden = !view().n_problems
    help.hidden = !view().is_editable
    const wanted = view().focus
    const goesOn = unfinished && rows.findIndex((row) => row.position === unfinished.position)
    if (unfinished && goesOn >= 0) {
      at = {row: goesOn, column: unfinished.column}
      edit(goesOn, unfinished.column, unfinished.input.value, unfinished.input.selectionStart)
    } else if (wanted && wanted.count > focused) {
      focused = wanted.count
      at = {row: Math.max(0, rows.findIndex((row) => row.position === wanted.position)), column: 0}
      const bad = columns.findIndex((column) => rows[at.row]?.messages[column.place])
      at.column = Math.max(0, bad)
      enter(at.row, at.column)
    } else {
      at = {row: Math.min(at.row, Math.max(0, rows.length - 1)), column: Math.min(at.column, Math.max(0, columns.length - 1))}
      cellAt(at.row, at.column)?.setAttribute("tabindex", "0")
      if (hadFocus) cellAt(at.row, at.column)?.focus()
    }
  }

  function drawn(row, r, column, c) {
    const message = row.messages[column.place]
    const id = `m-${row.position}-${c}`
    const cell = make("td", {tabindex: "-1", class: message ? "bad" : "", "aria-invalid": Boolean(message) && "true",
      "aria-describedby": message ? id : null},
      make("span", {class: "text"}, row.cells[column.place]),
      column.place in row.readings
        ? make("span", {class: "read"}, say("read as {value}", {value: row.readings[column.place] || say("no value")})) : "",
      message ? make("span", {class: "message", id}, message) : "")
    cell.addEventListener("focus", () => moveTo(r, c))
    cell.addEventListener("dblclick", () => edit(r, c))
    return cell
  }

  function moveTo(row, column) {
    cellAt(at.row, at.column)?.setAttribute("tabindex", "-1")
    at = {row, column}
    cellAt(row, column)?.setAttribute("tabindex", "0")
  }
  function enter(row, column) {
    const {rows, columns} = view()
    moveTo(Math.min(Math.max(row, 0), rows.length - 1), Math.min(Math.max(column, 0), columns.length - 1))
    cellAt(at.row, at.column)?.focus()
  }

  function edit(r, c, text = null, caret = null) {
    if (editing || !view().is_editable || view().rows[r].kind === "imported") return
    const cell = cellAt(r, c)
    const {position, cells} = view().rows[r]
    const {place: column, attribute} = view().columns[c]
    const before = cells[column]
    const input = make("input", {type: "text", "aria-label": `${attribute}, row ${view().rows[r].number}`, autocomplete: "off"})
    input.value = text ?? before
    cell.querySelector(".text").replaceChildren(input)
    editing = {position, column: c, input, leave(keep, move = [0, 0]) {
      if (!editing) return
      editing = null
      cell.querySelector(".text").replaceChildren(keep ? input.value : before)
      if (move) enter(r + move[0], c + move[1])
      if (keep && input.value !== before) model.send_msg({type: "edit", position, column, text: input.value})
    }}
    const mine = editing
    input.addEventListener("blur", () => { if (editing === mine) mine.leave(true, null) })
    input.focus()
    if (text === null) input.select()
    else if (caret !== null) input.setSelectionRange(caret, caret)
  }

  function goToProblem() {
    const {rows, columns} = view()
    for (let r = at.row; r < rows.length; r++) {
      for (let c = r === at.row && body.contains(root.getRootNode().activeElement) ? at.column + 1 : 0; c < columns.length; c++) {
        if (rows[r].messages[columns[c].place]) return enter(r, c)
      }
    }
    model.send_msg({type: "next", after: rows.length ? rows[rows.length - 1].position : -1})
  }

  // F8 works wherever the visitor is on the page.
  const f8 = (event) => {
    if (event.key !== "F8" || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return
    if (!root.isConnected || !view().n_problems) return
    event.preventDefault()
    editing?.leave(true)
    goToProblem()
  }
  document.addEventListener("keydown", f8)
  model.on("remove", () => document.removeEventListener("keydown", f8))
  root.addEventListener("keydown", (event) => {
    if (!event.target.closest?.("tbody")) return
    if (editing) {
      const moves = {Enter: [1, 0], Tab: [0, event.shiftKey ? -1 : 1]}
      if (event.key === "Escape") editing.leave(false)
      else if (moves[event.key]) editing.leave(true, moves[event.key])
      else return
      event.preventDefault()
      return
    }
    const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}
    if (moves[event.key]) enter(at.row + moves[event.key][0], at.column + moves[event.key][1])
    else if (event.key === "Home") enter(at.row, 0)
    else if (event.key === "End") enter(at.row, view().columns.length - 1)
    else if (event.key === "PageDown" && !next.disabled) turn(1)
    else if (event.key === "PageUp" && !previous.disabled) turn(-1)
    else if (event.key === "Enter" || event.key === "F2") edit(at.row, at.column)
    else if (event.key === "Delete") edit(at.row, at.column, "")
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) edit(at.row, at.column, event.key)
    else return
    event.preventDefault()
  })

  model.on("msg:custom", ({download}) => {
    if (download) {
      const link = make("a", {href: download, download: ""})
      root.append(link)
      link.click()
      link.remove()
    }
  })
  model.on("view", show)
  show()
  return root
}
