// The question before a deletion: why, and the number that confirms it. What was typed and the press arrive together.
//
// Python sets the question and the answer, and nothing here sets them: a button that waits is a matter of this page,
// so that no late message can leave it shut.

export function render({model}) {
  const form = document.createElement("form")
  form.noValidate = true
  form.autocomplete = "off"
  form.innerHTML = `<div class="field"><label for="reason"></label><input id="reason" maxlength="1000"></div>
    <div class="field"><label for="typed"></label><input id="typed" inputmode="numeric"></div>
    <p class="problem" role="alert"></p>
    <div class="buttons"><button class="button delete"></button><a class="button"></a></div>`
  const [reason, typed] = form.querySelectorAll("input")
  const [button, cancel] = form.querySelectorAll(".buttons > *")
  const problem = form.querySelector(".problem")
  form.querySelector("label").textContent = say("Reason")
  cancel.textContent = say("Cancel")
  const next = () => (typed.parentElement.hidden ? button : typed)
  // The reason outlives a reload and a lost connection, as what is typed into a form does; storage may be forbidden.
  const kept = (act) => { try { return act(sessionStorage) } catch { return null } }
  let isWaiting = false              // for the answer to a press

  function ask() {
    const {confirmation, action, is_refused: isRefused, back} = model.question
    for (const part of [reason.parentElement, button]) part.hidden = isRefused
    typed.parentElement.hidden = isRefused || !confirmation
    typed.previousElementSibling.textContent = confirmation
    typed.value = ""                 // what was agreed to is not what is asked now
    button.textContent = action
    cancel.href = back
  }
  function answered() {
    isWaiting = false
    button.removeAttribute("aria-disabled")
    problem.textContent = model.answer.problem
    if (model.answer.is_done) kept((storage) => storage.removeItem(model.draft_key))
    else if (!model.question.is_refused) {
      next().focus()
      typed.select()                 // typing replaces a wrong number
    }
  }
  form.addEventListener("submit", event => {
    event.preventDefault()
    if (isWaiting) return
    isWaiting = true
    button.setAttribute("aria-disabled", "true")
    problem.textContent = ""
    model.send_msg({typed: typed.value, reason: reason.value})
  })
  // Enter after the reason, which a scanner sends by itself, asks for the number and deletes nothing yet.
  reason.addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.isComposing) return
    event.preventDefault()
    next().focus()
  })
  reason.value = kept((storage) => storage.getItem(model.draft_key)) ?? ""
  reason.addEventListener("input", () => kept((storage) => storage.setItem(model.draft_key, reason.value)))
  model.on("question", ask)
  model.on("answer", answered)
  ask()
  problem.textContent = model.answer.problem
  return form
}
