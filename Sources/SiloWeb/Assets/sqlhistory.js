// The statements that ran before, in this browser alone.
const key = "silo.sql";
const entriesMax = 50;
const entryMax = 16 << 10;

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((text) => typeof text === "string").slice(0, entriesMax) : [];
  } catch {
    // It is not to be had, or somebody else's.
    return [];
  }
}

function store(entries) {
  try {
    localStorage.setItem(key, JSON.stringify(entries));
  } catch {
    // There is no room for it, or no leave: then nothing is remembered.
  }
}

export class History {
  /** `use` is given a statement that somebody wants back. */
  constructor(panel, use) {
    this.panel = panel;
    this.use = use;
    this.entries = load();
    this.at = -1;
    this.draft = "";
    document.getElementById("sql-forget")?.addEventListener("click", () => {
      this.entries = [];
      store(this.entries);
      this.show();
    });
    panel?.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      const all = [...panel.querySelectorAll("ol button")];
      const now = all.indexOf(document.activeElement);
      if (now < 0) return;
      event.preventDefault();
      all[now + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    });
    this.show();
  }

  add(text) {
    if (!text.trim() || text.length > entryMax) return;
    this.entries = [text, ...load().filter((entry) => entry !== text)].slice(0, entriesMax);
    store(this.entries);
    this.show();
  }

  show() {
    const list = this.panel?.querySelector("ol");
    if (!list) return;
    list.replaceChildren(...this.entries.map((text) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text.replace(/\s+/g, " ").slice(0, 200);
      button.title = text.slice(0, 2000);
      button.addEventListener("click", () => this.use(text));
      item.append(button);
      return item;
    }));
    this.panel.dataset.empty = String(!this.entries.length);
  }

  /** The statement before or after the one that stands there; nil at either end. */
  step(by, current) {
    if (this.at === -1) this.draft = current;
    // What ran last stands there already.
    const first = by > 0 && this.at === -1 && this.entries[0] === current ? 1 : 0;
    const next = Math.max(-1, Math.min(this.entries.length - 1, this.at + by + first));
    if (next === this.at) return null;
    this.at = next;
    return next === -1 ? this.draft : this.entries[next];
  }
}
