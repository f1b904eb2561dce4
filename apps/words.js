// What scripts say to people: English in the code, and in the visitor's language on the page.
//
// The page holds the messages of its language in `window.djPanelWords`: message -> text, or message -> texts, one for
// each kind of number. Messages are literals, so that all of them can be collected for translation.

const language = () => document.documentElement.lang || "en"

function grouped(n) { return n.toLocaleString(language()) }

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => {
    if (!(name in values)) return place
    return Number.isInteger(values[name]) ? grouped(values[name]) : String(values[name])
  })
}

function say(message, values = {}) {
  return filled(window.djPanelWords?.[message] ?? message, values)
}

function sayMany(one, many, n, values = {}) {
  const forms = window.djPanelWords?.[one]
  const rules = new Intl.PluralRules(forms ? language() : "en")
  const texts = forms ?? [one, many]
  const form = rules.resolvedOptions().pluralCategories.indexOf(rules.select(n))
  return filled(texts[Math.min(Math.max(form, 0), texts.length - 1)], {n, ...values})
}
