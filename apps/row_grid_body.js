// The rows of the grid: drawn, moved through like a spreadsheet, opened.

const FROZEN_SHARE = 0.5 // key columns stand still while they take at most this share of the width

function gridBody(grid) {
  const {model, head, body, frame, root, selection} = grid
  const place = grid.place // the cell in the tab order
  let known = null // ids of the rows of the last view of this page, to mark new ones

  const cellAt = (index, name) => body.children[index]?.querySelector(`td[data-name="${CSS.escape(name ?? "")}"]`)

  // ------------------------------------------------------------------ drawing
  function draw(isQuiet) {
    const hadFocus = body.contains(grid.focused())
    const at = hadFocus ? [...body.children].indexOf(grid.focused().closest("tr")) : -1
    const columns = grid.shown()
    const indices = columns.map(column => model.columns.indexOf(column))
    body.replaceChildren(...model.view.rows.map(row => bodyRow(row, columns, indices, isQuiet)))
    known = new Set(model.view.rows.map(row => row.id))
    let index = model.view.rows.findIndex(row => row.id === place.id)
    if (index < 0) index = Math.min(Math.max(at, 0), model.view.rows.length - 1)
    if (!columns.some(column => column.name === place.column)) place.column = columns[0]?.name ?? null
    markPlace(index)
    if (hadFocus && index >= 0) cellAt(index, place.column)?.focus({preventScroll: isQuiet})
    frame.classList.toggle("blank", !model.view.rows.length)
    selection.mark()
    freeze()
  }

  function bodyRow(row, columns, indices, isQuiet) {
    const line = make("tr", {"data-id": row.id})
    if (isQuiet && known && !known.has(row.id)) line.className = "fresh"
    const box = make("input", {type: "checkbox", tabindex: -1, "aria-label": say("Select {row}", {row: row.label})})
    const open = make("a", {href: row.href, tabindex: -1, "aria-label": say("Open {row}", {row: row.label})}, icon("open"))
    const more = button(say("More about {row}", {row: row.label}), "menu", () => grid.openRow(row, more), {"aria-haspopup": "menu", tabindex: -1})
    line.append(make("td", {class: "frozen corner"}, make("div", {}, box, open, more)))
    columns.forEach((column, number) => line.append(bodyCell(column, row.cells[indices[number]])))
    return line
  }

  function bodyCell(column, [text, kind, href]) {
    const cell = make("td", {"data-name": column.name, class: grid.head_.classes(column), tabindex: -1, role: "gridcell"})
    grid.setWidth(cell, column.name)
    if (kind === "null") {
      cell.append(make("span", {class: "null", title: say("No value")}, make("span", {"aria-hidden": "true"}, "∅"),
        make("span", {class: "hidden"}, say("no value"))))
      return cell
    }
    if (kind === "problem") { cell.append(make("span", {class: "chip bad"}, text)); return cell }
    cell.append(href ? make("a", {href, tabindex: -1, class: kind === "value" ? "chip" : "link"}, text) : text)
    if (text.length > 30 || model.view.widths[column.name]) cell.title = text
    return cell
  }

  // The first key columns stand still on the left, as many as leave room for the others.
  function freeze() {
    const cells = [...head.children[0]?.children ?? []].filter(cell => cell.classList.contains("frozen"))
    const lefts = []
    let left = 0
    for (const cell of cells) {
      const {width} = cell.getBoundingClientRect()
      if (left + width > frame.clientWidth * FROZEN_SHARE) break
      lefts.push(Math.floor(left)) // rather over its neighbour than a line apart from it
      left += width
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
  function markPlace(index) {
    for (const cell of body.querySelectorAll('td[tabindex="0"]')) cell.tabIndex = -1
    for (const line of body.querySelectorAll("tr.here")) line.classList.remove("here")
    const cell = index >= 0 ? cellAt(index, place.column) : null
    if (!cell) return
    cell.tabIndex = 0
    if (model.view.rows[index].id === place.id) body.children[index].classList.add("here")
  }

  function focusCell(index, name) {
    const line = body.children[index]
    const cell = cellAt(index, name) ?? line?.querySelector("td[data-name]")
    if (!cell) return
    Object.assign(place, {id: line.dataset.id, column: cell.dataset.name})
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
    const names = grid.shown().map(column => column.name)
    const column = names.indexOf(cell.dataset.name)
    const last = body.children.length - 1
    const control = event.ctrlKey || event.metaKey
    const step = to => {
      if (event.shiftKey) selection.extend(index, to)
      focusCell(to, names[column])
    }
    const menu = () => grid.openRow(model.view.rows[index], line.querySelector(".corner button"))
    const moves = {
      ArrowDown: () => step(Math.min(index + 1, last)),
      ArrowUp: () => index ? step(index - 1) : head.querySelector(`td[data-name="${CSS.escape(names[column])}"] :is(input, select)`).focus(),
      ArrowLeft: () => focusCell(index, names[Math.max(column - 1, 0)]),
      ArrowRight: () => focusCell(index, names[Math.min(column + 1, names.length - 1)]),
      Home: () => focusCell(control ? 0 : index, names[0]),
      End: () => focusCell(control ? last : index, names[names.length - 1]),
      PageDown: () => { if (model.view.has_next) turn(model.view.page + 1) },
      PageUp: () => { if (model.view.page !== 1) turn(model.view.page - 1) },
      " ": () => selection.toggle(index),
      ContextMenu: menu,
      Enter: () => {
        const link = control ? cell.querySelector("a") : null
        open(line, link ? link.getAttribute("href") : null)
      },
    }
    if (event.key === "F10" && event.shiftKey) moves.F10 = menu
    const edit = model.view.rows[index]?.actions?.find(({name}) => name === "edit")
    if (event.key === "e" && !control && edit) moves.e = () => open(line, edit.href)
    if (event.key === "a" && control) moves.a = () => selection.page(true)
    if (!moves[event.key]) return
    event.preventDefault()
    moves[event.key]()
  })
  body.addEventListener("focusin", event => {
    const cell = event.target.closest("td[data-name]")
    if (!cell) return
    Object.assign(place, {id: cell.parentElement.dataset.id, column: cell.dataset.name})
    markPlace([...body.children].indexOf(cell.parentElement))
  })
  body.addEventListener("click", event => {
    const line = event.target.closest("tr")
    if (!line || event.target.closest("button")) return
    const index = [...body.children].indexOf(line)
    if (event.target.closest(".corner input")) { selection.click(index, event.shiftKey); return }
    if (event.target.closest("a")) { remembered.save(line.dataset.id); return }
    if (event.ctrlKey || event.metaKey) { selection.toggle(index); return }
    // Text that was marked with the mouse, to be copied, ends with a click too.
    const marked = root.getRootNode().getSelection?.() ?? getSelection()
    if (event.button || event.shiftKey || !marked.isCollapsed || event.target.closest(".corner")) return
    open(line, null)
  })

  function open(line, href) {
    remembered.save(line.dataset.id)
    location.hash = href ?? line.querySelector("a").getAttribute("href")
  }

  function turn(page) {
    known = null
    grid.send({type: "page", page})
  }

  return {draw, freeze, focusCell, turn}
}

// Which rows are chosen: by their ids, on whichever page they are.
function gridSelection(grid) {
  const {model, body} = grid
  let chosen = new Set(), anchor = 0, serial = 0, pause = 0
  const all = make("input", {type: "checkbox", "aria-label": say("Select the rows of this page")})
  all.addEventListener("change", () => page(all.checked))
  const ids = () => model.view.rows.map(row => row.id)

  function changed() {
    serial += 1
    mark()
    clearTimeout(pause)
    pause = setTimeout(tell, 120)
  }
  // Also before anything else is asked for, which may be about the selected rows.
  function tell() {
    if (!pause) return
    clearTimeout(pause)
    pause = 0
    grid.send({type: "select", rows: [...chosen], serial})
  }
  function set(id, isOn) { if (isOn) chosen.add(id); else chosen.delete(id) }
  function toggle(index) {
    const id = ids()[index]
    anchor = index
    set(id, !chosen.has(id))
    changed()
  }
  function click(index, isRange) {
    if (!isRange) return toggle(index)
    for (const id of ids().slice(Math.min(anchor, index), Math.max(anchor, index) + 1)) chosen.add(id)
    changed()
  }
  function extend(from, to) {
    const id = ids()[to]
    // Going back towards where it began takes rows away again.
    if (chosen.has(ids()[from]) && chosen.has(id) && from !== to) chosen.delete(ids()[from])
    else { chosen.add(ids()[from]); chosen.add(id) }
    changed()
  }
  function page(isOn) {
    for (const id of ids()) set(id, isOn)
    changed()
  }
  function clear() { chosen = new Set(); changed() }
  function take() {
    // A view that was made before the last change of ours knows less than we do.
    if ((model.view.serial ?? 0) < serial) return
    chosen = new Set(model.view.selected)
  }
  function mark() {
    const listed = ids()
    const here = listed.filter(id => chosen.has(id)).length
    all.checked = here > 0 && here === listed.length
    all.indeterminate = here > 0 && here < listed.length
    for (const [index, line] of [...body.children].entries()) {
      const isOn = chosen.has(listed[index])
      line.querySelector(".corner input").checked = isOn
      line.setAttribute("aria-selected", String(isOn))
    }
    grid.showSelection(chosen.size, here)
  }
  return {box: () => all, toggle, click, extend, page, clear, take, tell, mark, get size() { return chosen.size }}
}
