// What may stand at the cursor of a statement: keywords, tables, columns of the tables it names, functions: the page has them.

const pieces = /'[^']*(?:'|$)|"[^"]*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\s+|[\p{L}\p{N}_$]+|[\s\S]/gu;
const isWord = /^[\p{L}\p{N}_$]/u;
const openText = /^'[^']*$|^"[^"]*$|^--|^\/\*(?![\s\S]*\*\/$)/;

/** The words and symbols of a text; the last may be quotes or a comment that do not end. */
function read(text) {
  const all = text.match(pieces) ?? [];
  return { last: all.at(-1) ?? "", words: all.filter((piece) => !/^\s|^--|^\/\*/.test(piece)) };
}

/** What the page knows, from its elements. */
export function vocabulary() {
  const words = document.getElementById("sql-words");
  if (!words) return null;
  const list = (name) => words.dataset[name].split(" ");
  const tables = new Map();
  for (const table of document.querySelectorAll("[data-table]")) {
    tables.set(table.dataset.table, [...table.querySelectorAll("[data-column]")].map((column) => column.dataset.column));
  }
  return {
    tables, keywords: list("keywords"), beginnings: list("beginnings"), clauses: new Set(list("clauses")),
    functions: list("functions"),
  };
}

/** Which tables a statement reads, under which names, and the names that WITH gives. */
function sources(words, known) {
  const tables = [];
  const common = [];
  let isInFrom = false;
  const isName = (word) => word !== undefined && isWord.test(word) && !known.keywords.includes(word.toUpperCase());
  words.forEach((word, index) => {
    const upper = word.toUpperCase();
    if (known.clauses.has(upper)) isInFrom = upper === "FROM";
    if ((upper === "FROM" || upper === "JOIN" || (word === "," && isInFrom)) && isName(words[index + 1])) {
      const behind = words[index + 2]?.toUpperCase() === "AS" ? index + 3 : index + 2;
      const table = words[index + 1].toLowerCase();
      tables.push({ table, alias: isName(words[behind]) ? words[behind].toLowerCase() : table });
    }
    if (upper === "AS" && words[index + 1] === "(" && index > 0) common.push(words[index - 1]);
  });
  return { tables, common };
}

function columns(names, known) {
  return [...new Set(names.flatMap((name) => known.tables.get(name) ?? []))].map((text) => ({ text, kind: "column" }));
}

function candidates(typed, words, found, known) {
  // Keywords in the case in which one types.
  const cased = (word) => (/^\p{Ll}/u.test(typed) ? word.toLowerCase() : word);
  const keyword = (word) => ({ text: `${cased(word)} `, kind: "keyword" });
  const previous = words.at(-1);
  if (previous === undefined) return known.beginnings.map(keyword);
  if (previous === "." && words.length > 1) {
    const name = words.at(-2).toLowerCase();
    const table = found.tables.find(({ alias }) => alias === name)?.table;
    if (table || known.tables.has(name) || found.tables.length) return columns([table ?? name], known);
    // An alias whose FROM is still to be typed may stand for any table.
    return columns([...known.tables.keys()], known);
  }
  const clause = words.findLast((word) => known.clauses.has(word.toUpperCase()) || word.toUpperCase() === "JOIN")?.toUpperCase();
  if (["FROM", "JOIN"].includes(previous.toUpperCase()) || (previous === "," && clause === "FROM")) {
    return [...known.tables.keys(), ...found.common].map((name) => ({ text: `${name} `, kind: "table" }));
  }
  const tables = found.tables.map(({ table }) => table);
  const own = columns(tables.length ? tables : [...known.tables.keys()], known);
  // Nothing typed: everything there is would be no help.
  if (!typed) return tables.length ? own : [];
  return [
    ...own, ...found.tables.map(({ alias }) => ({ text: alias, kind: "table" })),
    ...known.functions.map((name) => ({ text: `${name}(`, kind: "function" })), ...known.keywords.map(keyword),
  ];
}

/** What is typed of a word before the cursor, and what it may become, in order. */
export function offer(before, after, known) {
  const { last, words } = read(before);
  if (openText.test(last) || /^['"]/.test(last)) return { typed: "", candidates: [] };
  const typed = isWord.test(last) ? last : "";
  const found = sources(read(before + after).words, known);
  const seen = new Set();
  const fitting = candidates(typed, typed ? words.slice(0, -1) : words, found, known).filter(({ text }) => {
    const key = text.toLowerCase();
    if (!key.startsWith(typed.toLowerCase()) || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  const order = { column: 0, table: 0, function: 1, keyword: 2 };
  fitting.sort((a, b) => order[a.kind] - order[b.kind] || a.text.localeCompare(b.text));
  return { typed, candidates: fitting };
}
