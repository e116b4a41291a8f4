// What the portal's pages do beyond links and forms. Everything works without it, but for copying and local times.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  const kept = {
    get: (name) => { try { return localStorage.getItem("fanfare-" + name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem("fanfare-" + name, value); } catch { /* not kept, then */ } },
  };
  if (kept.get("mode")) root.dataset.mode = kept.get("mode");

  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));

  // Says something for a while, also to screen readers.
  const say = (text) => {
    const toasts = document.getElementById("toasts");
    if (!toasts) return;
    const toast = document.createElement("p");
    toast.className = "toast";
    toast.textContent = text;
    toasts.append(toast);
    setTimeout(() => toast.remove(), 6000);
  };

  // Times are UTC as they come; local where that is chosen, which is so at first.
  const showTimes = (within) => {
    const local = kept.get("times") !== "utc";
    const parts = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" };
    const format = new Intl.DateTimeFormat(navigator.language, parts);
    const withYear = new Intl.DateTimeFormat(navigator.language, { ...parts, year: "numeric" });
    const thisYear = new Date().getFullYear();
    all("time[datetime]", within).forEach((time) => {
      time.dataset.utc ??= time.textContent;
      time.title = time.dateTime;
      const moment = new Date(time.dateTime);
      const shown = moment.getFullYear() === thisYear ? format : withYear;
      time.textContent = local ? shown.format(moment) : time.dataset.utc;
    });
  };

  // The marks of charts' axes are times, too.
  const showMarks = (within) => {
    const local = kept.get("times") !== "utc";
    const forms = { time: { timeStyle: "short" }, day: { day: "numeric", month: "short" } };
    all("text[data-at]", within).forEach((mark) => {
      mark.dataset.utc ??= mark.textContent;
      // Days are days of UTC: their figures are.
      if (!local || mark.dataset.form === "day") { mark.textContent = mark.dataset.utc; return; }
      const format = new Intl.DateTimeFormat(root.lang, { hourCycle: "h23", ...forms[mark.dataset.form] });
      mark.textContent = format.format(new Date(mark.dataset.at));
    });
    const span = new Intl.DateTimeFormat(root.lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    all("rect[data-from]", within).forEach((slot) => {
      const title = slot.querySelector("title");
      const [first, ...figures] = title.textContent.split("\n");
      slot.dataset.utc ??= first;
      const shown = local ? span.formatRange(new Date(slot.dataset.from), new Date(slot.dataset.to)) : slot.dataset.utc;
      title.textContent = [shown, ...figures].join("\n");
    });
  };

  // Fields for times hold UTC as they come. Where times are local, they are typed so, and sent as UTC all the same.
  const zoned = new WeakMap();
  const inZone = (date, zone) => date.getSeconds() ? zone.slice(0, 19) : zone.slice(0, 16);
  const toLocal = (utc) => {
    const date = new Date(utc + "Z");
    if (Number.isNaN(date.getTime())) return "";
    return inZone(date, new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString());
  };
  const toUtc = (local) => {
    const date = new Date(local);
    return Number.isNaN(date.getTime()) ? "" : inZone(date, date.toISOString());
  };
  const showZones = (within, anew) => {
    const local = kept.get("times") !== "utc";
    all("input[data-zoned]", within).forEach((field) => {
      const known = zoned.has(field);
      if (known && !anew) return;
      if (!known) {
        const sent = document.createElement("input");
        sent.type = "hidden";
        sent.name = field.name;
        // What is no time is asked for no more: the field cannot show it.
        sent.value = toLocal(field.defaultValue) ? field.defaultValue : "";
        field.removeAttribute("name");
        field.after(sent);
        zoned.set(field, sent);
      }
      const utc = zoned.get(field).value;
      field.value = local ? toLocal(utc) : utc;
    });
    all("[data-zone]", within).forEach((zone) => {
      zone.dataset.utc ??= zone.textContent;
      zone.textContent = local ? zone.dataset.zone : zone.dataset.utc;
    });
  };
  ["input", "change"].forEach((name) => document.addEventListener(name, (event) => {
    const sent = zoned.get(event.target);
    if (sent) sent.value = kept.get("times") !== "utc" ? toUtc(event.target.value) : event.target.value;
  }, true));

  // A group of events that is wanted whole, in part, or not at all.
  const showGroup = (group) => {
    const whole = group.querySelector("[data-group-all]");
    if (!whole) return;
    const boxes = all("input[name=event]", group);
    const checked = boxes.filter((box) => box.checked).length;
    whole.hidden = false;
    whole.checked = checked === boxes.length;
    whole.indeterminate = checked > 0 && checked < boxes.length;
  };

  const dress = (within) => {
    showTimes(within);
    showMarks(within);
    showZones(within);
    all("[data-copy], [data-remove-header], [data-with-script]", within).forEach((element) => { element.hidden = false; });
    all("[data-group]", within).forEach(showGroup);
  };

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      // In a frame the clipboard may be closed; the old way still works there.
      const area = document.createElement("textarea");
      area.value = button.dataset.copy;
      area.className = "hidden";
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
    say(document.body.dataset.copied);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.matches("[data-copy]")) copy(button);
    if (button.matches("[data-keys]")) showKeys();
    if (button.matches("[data-add-header]")) {
      event.preventDefault();
      const rows = button.closest("fieldset").querySelector("[data-rows]");
      const row = rows.lastElementChild.cloneNode(true);
      all("input", row).forEach((input) => { input.value = ""; input.removeAttribute("value"); });
      rows.append(row);
      row.querySelector("input").focus();
    }
    if (button.matches("[data-remove-header]")) {
      const row = button.closest("[data-header]");
      if (row.parentElement.children.length > 1) row.remove();
      else all("input", row).forEach((input) => { input.value = ""; });
    }
  });

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.matches("[data-group-all]")) {
      all("input[name=event]", input.closest("[data-group]")).forEach((box) => {
        if (!box.closest("label").hidden) box.checked = input.checked;
      });
    }
    const group = input.closest?.("[data-group]");
    if (group) showGroup(group);
    if (input.matches("[data-choose-all]")) all("input[form=chosen]").forEach((box) => { box.checked = input.checked; });
    if (input.matches("[data-submit]")) input.form.requestSubmit(document.getElementById(input.dataset.submit));
    if (input.matches("[data-keys-on]")) kept.set("keys", input.checked ? "on" : "off");
    if (input.matches("[data-choice=times]")) { kept.set("times", input.value); showTimes(document); showMarks(document); showZones(document, true); }
    if (input.matches("[data-choice=mode]")) {
      kept.set("mode", input.value);
      if (input.value) root.dataset.mode = input.value; else delete root.dataset.mode;
    }
  });

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-picker-search]")) return;
    const wanted = event.target.value.trim().toLowerCase();
    all("[data-group]", event.target.closest(".some")).forEach((group) => {
      let shown = 0;
      all("[data-choice-text]", group).forEach((label) => {
        label.hidden = !label.dataset.choiceText.toLowerCase().includes(wanted);
        if (!label.hidden) shown += 1;
      });
      group.hidden = shown === 0;
    });
  });

  // What is under way is not begun again by a second press; what opens another page may be opened again.
  const underWay = 10000;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") !== "post" || form.hasAttribute("hx-post") || form.target) return;
    if (form.hasAttribute("data-sent")) return event.preventDefault();
    form.setAttribute("data-sent", "");
    setTimeout(() => form.removeAttribute("data-sent"), underWay);
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => form.removeAttribute("data-sent")));

  // Search fields of the picker do not send the form.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.("[data-picker-search]")) event.preventDefault();
  });

  // Keys for people who work here all day: / searches, j and k move, Enter opens, r resends. Who speaks to the browser, or
  // hits keys by chance, switches them off.
  const showKeys = () => {
    const keys = document.getElementById("keys");
    if (!keys || keys.open) return keys?.close();
    keys.querySelector("[data-keys-on]").checked = kept.get("keys") !== "off";
    keys.showModal();
  };
  let chosen = null;
  const mark = (row) => {
    chosen?.classList.remove("chosen");
    chosen = row;
    chosen.classList.add("chosen");
  };
  const choose = (row) => {
    mark(row);
    chosen.scrollIntoView({ block: "nearest" });
    (chosen.querySelector("[data-open]") ?? chosen.querySelector("summary"))?.focus();
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea");
    if (event.key === "Escape" && typing) return event.target.blur();
    if (kept.get("keys") === "off") return;
    if (event.key === "?" && !typing) return showKeys();
    if (document.getElementById("keys")?.open) return;
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    const rows = all("[data-row]");
    if ((event.key === "j" || event.key === "k") && rows.length > 0) {
      if (!rows.includes(chosen)) chosen = null;
      const at = chosen ? rows.indexOf(chosen) + (event.key === "j" ? 1 : -1) : 0;
      choose(rows[Math.max(0, Math.min(rows.length - 1, at))]);
    }
    if (event.key === "r") {
      const button = (chosen?.isConnected && chosen.querySelector("[data-resend]")) || document.querySelector(".page-head [data-resend]");
      button?.click();
    }
  });

  // htmx: empty filters stay out of the address, failures are said, parts that came are dressed.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches("[data-filters]")) return;
    for (const name of Array.from(event.detail.formData.keys())) {
      if (event.detail.formData.get(name) === "") event.detail.formData.delete(name);
    }
  });
  const failed = (event) => {
    const text = event.detail.xhr?.responseText ?? "";
    const page = new DOMParser().parseFromString(text, "text/html");
    const message = page.querySelector("[data-message]")?.textContent || document.body.dataset.failed;
    const form = event.detail.elt;
    // What asks by itself, again and again, says nothing: the next answer may be better. Where the visit has ended, or its right,
    // or what it asks about is there no more, the page says so.
    if (form.matches("[data-polls]")) {
      if ([401, 403, 404].includes(event.detail.xhr?.status)) location.reload();
      else if (form.matches("tr[data-row]")) lookAgain(form.id);
      return;
    }
    if (form.matches("[data-quiet]")) return;
    if (!form.matches("[data-filters]")) return say(message);
    // A list that could not be fetched says so in its place, with a button that asks again.
    const list = document.getElementById("list");
    list.querySelector(".failure")?.remove();
    const failure = document.createElement("div");
    failure.className = "notice bad failure";
    failure.setAttribute("role", "alert");
    const retry = document.createElement("button");
    retry.type = "button";
    retry.className = "button small";
    retry.textContent = document.body.dataset.tryAgain;
    retry.addEventListener("click", () => htmx.trigger(form, "submit"));
    failure.append(message + " ", retry);
    list.prepend(failure);
  };
  document.addEventListener("htmx:beforeRequest", (event) => event.detail.target.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:afterRequest", (event) => event.detail.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);
  document.addEventListener("htmx:timeout", failed);
  document.addEventListener("htmx:afterSwap", (event) => dress(event.detail.target.isConnected ? event.detail.target : document));
  // A delivery that was sent again from its row is looked at there until that attempt is over.
  const lookAgain = (id) => {
    const row = document.getElementById(id);
    if (!row?.matches("[data-polls]")) return;
    setTimeout(() => {
      if (row.isConnected) htmx.ajax("GET", location.href, { source: row, target: row, select: "#" + id, swap: "outerHTML" });
    }, 1000);
  };
  document.addEventListener("htmx:afterSettle", (event) => {
    dress(document);
    const was = event.detail.requestConfig?.target;
    if (was?.matches("tr[data-row]")) lookAgain(was.id);
    if (chosen && !chosen.isConnected && document.getElementById(chosen.id)) mark(document.getElementById(chosen.id));
    const pressed = event.detail.requestConfig?.elt;
    if (pressed?.dataset?.said) say(pressed.dataset.said);
    // What had the focus may be gone with its row.
    if (pressed?.isConnected === false && document.activeElement === document.body) {
      document.getElementById("content")?.focus({ preventScroll: true });
    }
  });

  // Another tab may have opened another organization in this browser: nothing of it belongs on this page.
  const isOther = (page) => {
    const visit = page.body.dataset.visit;
    return visit !== undefined && visit !== document.body.dataset.visit;
  };
  document.addEventListener("htmx:beforeSwap", (event) => {
    const detail = event.detail;
    if (!detail.shouldSwap) return;
    const page = new DOMParser().parseFromString(detail.serverResponse, "text/html");
    if (isOther(page)) {
      detail.shouldSwap = false;
      location.reload();
      return;
    }
    if (!detail.target.matches("tr") || page.getElementById(detail.target.id)) return;
    // The row is not on its page any more: newer ones pushed it off, or the filters hold it back now. So the list is shown as it is.
    const list = document.getElementById("list");
    if (list && page.getElementById("list")) {
      detail.target = list;
      detail.selectOverride = "#list";
    } else {
      detail.shouldSwap = false;
      const { said } = detail.requestConfig.elt.dataset;
      if (said) say(said);
    }
  });

  // A field that is judged when it is left looks like one that was refused.
  document.addEventListener("htmx:afterSwap", (event) => {
    const field = event.detail.requestConfig?.elt;
    if (!field?.matches("[data-judged]")) return;
    const error = event.detail.target.querySelector(".error");
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
    if (error) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", error.id);
    }
  });
  // What is typed letter by letter is one entry of the history, not one for each letter.
  document.addEventListener("htmx:beforeHistoryUpdate", (event) => {
    const typed = event.detail.requestConfig?.triggeringEvent?.type === "input";
    if (typed && new URLSearchParams(location.search).has("search")) event.detail.history.type = "replace";
  });

  // The list of deliveries follows what happens: it is told by the server, or where that fails asks now and then.
  const follow = (button) => {
    // After an answer that took long it rests for so many times as long, at most as long as it would without being told.
    const atOnce = 400, poll = 5000, share = 10;
    const path = "/portal/deliveries";
    let source = null, due = null, asking = false, again = false, rested = 0, known = new Map();
    const held = () => button.getAttribute("aria-pressed") !== "true" || document.hidden;
    const soon = (wait) => {
      due ??= setTimeout(() => { due = null; refresh(); }, Math.max(wait, rested - performance.now()));
    };
    // A row as it came, but for the mark of its forms, which is written differently each time.
    const raw = (row) => row.outerHTML.replace(/name="form_mark" value="[^"]*"/g, "");
    // The list becomes what came, in its order. Rows that did not change stay as they are, and so does the one with the focus.
    const put = (page) => {
      if (isOther(page)) return location.reload();
      const [old, fresh] = [document, page].map((within) => within.querySelector("#list"));
      if (!old || !fresh) return;
      const [body, came] = [old, fresh].map((list) => list.querySelector("tbody"));
      const rows = all("tr[data-row]", fresh);
      const raws = new Map(rows.map((row) => [row.id, raw(row)]));
      if (!body || !came) {
        if (body || came) {
          old.replaceWith(fresh);
          window.htmx?.process(fresh);
          dress(fresh);
        }
        known = raws;
        return;
      }
      const focused = body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
      const wanted = rows.map((row) => {
        const there = document.getElementById(row.id);
        if (there && (there === focused || known.get(row.id) === raws.get(row.id))) return there;
        if (there?.querySelector("input[name=id]")?.checked) row.querySelector("input[name=id]")?.setAttribute("checked", "");
        if (there && there === chosen) mark(row);
        return row;
      });
      if (focused) {
        raws.set(focused.id, known.get(focused.id));
        // Ids go by time: where it is not in the list any more, it keeps its place until the focus leaves it.
        const below = wanted.findIndex((row) => row.id < focused.id);
        if (!wanted.includes(focused)) wanted.splice(below < 0 ? wanted.length : below, 0, focused);
      }
      // What comes in above what is looked at must not push it down.
      const above = body.getBoundingClientRect().top < 0;
      const anchor = wanted.find((row) => row.ownerDocument === document && row.getBoundingClientRect().bottom > 0);
      const before = anchor?.getBoundingClientRect().top;
      const stay = new Set(wanted);
      Array.from(body.children).forEach((row) => { if (!stay.has(row)) row.remove(); });
      wanted.forEach((row, at) => {
        if (body.children[at] === row) return;
        body.insertBefore(row, body.children[at] ?? null);
        window.htmx?.process(row);
        dress(row);
      });
      if (above && anchor) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
      const [next, older] = [old, fresh].map((list) => list.querySelector("a[rel=next]"));
      if (next && older) next.setAttribute("href", older.getAttribute("href"));
      [".pages", "[data-cut]"].forEach((selector) => {
        const [was, is] = [old, fresh].map((list) => list.querySelector(selector));
        if (was && !is) was.remove();
        if (!was && is) body.closest("table").after(is);
      });
      known = raws;
    };
    const refresh = async () => {
      if (held() || location.pathname !== path) return;
      if (asking) { again = true; return; }
      asking = true;
      const begun = performance.now();
      try {
        const answer = await fetch(location.href, { credentials: "same-origin", headers: { "HX-Request": "true" } });
        // The visit has ended, or its right.
        if (answer.status === 401 || answer.status === 403) return location.reload();
        if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch { /* the next one may work */ }
      asking = false;
      const ended = performance.now();
      rested = ended + Math.min(share * (ended - begun), poll);
      if (again) { again = false; soon(atOnce); }
    };
    const listen = () => {
      source?.close();
      source = null;
      // A tab that nobody looks at holds no connection: browsers have few of them for a server.
      if (held() || !("EventSource" in window)) return;
      source = new EventSource(button.dataset.live);
      // What happened before it was connected was not told.
      source.addEventListener("open", () => soon(0));
      ["delivery", "lost"].forEach((name) => source.addEventListener(name, () => soon(atOnce)));
      // It connects again by itself, but for a refusal.
      source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) source = null; });
    };
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      listen();
      if (on) refresh();
    });
    document.addEventListener("visibilitychange", () => { listen(); soon(0); });
    setInterval(() => {
      if (!source) listen();
      if (source?.readyState !== EventSource.OPEN) soon(0);
    }, poll);
    addEventListener("pagehide", () => source?.close());
    addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
    button.hidden = false;
  };

  // In a frame, the page around it is told how high this one is.
  const tellHeight = () => {
    if (window.parent === window) return;
    root.classList.add("framed");
    const tell = () => window.parent.postMessage({ type: "fanfare:height", height: Math.ceil(document.body.scrollHeight) }, "*");
    new ResizeObserver(tell).observe(document.body);
    tell();
  };

  dress(document);
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  all(".choice").forEach((label) => { label.hidden = false; });
  all("[data-choice]").forEach((select) => { select.value = kept.get(select.dataset.choice) ?? select.options[0].value; });
  // Browsers pass over autofocus in the frames of other sites.
  if (!document.activeElement?.matches("[aria-invalid]")) document.querySelector("[aria-invalid=true]")?.focus();
  all("form[data-press]").forEach((form) => form.requestSubmit());
  all("[data-live]").forEach(follow);
  tellHeight();
})();
