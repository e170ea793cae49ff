// A refresh: started by the button, polled until it ends, and the page updated with its figures.
(() => {
  "use strict";
  const button = document.getElementById("refresh");
  if (!button) return;

  const POLL = 1000, LONGEST_POLL = 10000, LOOK = 30000;  // milliseconds
  const JOBS = "/api/refresh/jobs";
  const find = (id) => document.getElementById(id);
  const bar = find("refreshing"), form = find("refresh-token"), field = find("token");
  const pause = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
  const isActive = (job) => job?.status === "queued" || job?.status === "running";
  let busy = false, known = null, token = "";

  const say = (text) => { find("refresh-said").textContent = text; };

  function setBusy(value) {
    busy = value;
    button.disabled = value;
    button.textContent = value ? "Refreshing…" : "Refresh";
  }

  function listFailures(failures) {
    find("refresh-failures").replaceChildren(...failures.map(({ name, reason }) => {
      const item = document.createElement("li"), strong = document.createElement("strong");
      strong.textContent = `${name}:`;
      item.append(strong, ` ${reason}`);
      return item;
    }));
  }

  function show(job) {
    const total = job.total_repositories;
    find("refresh-bar").value = job.progress;
    find("refresh-done").textContent = total
      ? `${job.repositories_processed} of ${total} ${total === 1 ? "repository" : "repositories"}`
      : "GitHub is being asked which repositories there are.";
    find("refresh-current").textContent = job.current.length ? `Measuring ${job.current.join(", ")}` : "";
    listFailures(job.failures);
    bar.hidden = false;
  }

  // The newest refresh; null where there is none, undefined where the service did not answer.
  async function readNewest() {
    try {
      const answer = await fetch(JOBS, { cache: "no-store" });
      return answer.ok ? (await answer.json())[0] ?? null : undefined;
    } catch {
      return undefined;
    }
  }

  async function renew() {
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const again = document.activeElement?.id;
      find("content").replaceChildren(...page.getElementById("content").childNodes);
      find("refreshed").replaceChildren(...page.getElementById("refreshed").childNodes);
      document.querySelector("h1").textContent = page.querySelector("h1").textContent;
      document.title = page.title;
      document.dispatchEvent(new Event("page:renewed"));
      if (again) find(again)?.focus();
    } catch {
      say("The new figures could not be fetched: reload this page.");
    }
  }

  // Follow the refresh under way to its end, however often the service does not answer.
  async function watch() {
    let missed = 0, processed = 0;
    for (;;) {
      const job = await readNewest();
      if (job === undefined) {
        missed += 1;
        say("The service does not answer; trying again …");
      } else {
        if (missed) say("");
        missed = 0;
        if (!isActive(job)) return job;
        show(job);
        // While there is no table yet, projects appear as they are measured.
        if (job.repositories_processed > processed && !find("projects")) await renew();
        processed = job.repositories_processed;
      }
      await pause(Math.min(POLL * 2 ** missed, LONGEST_POLL));
    }
  }

  async function end(job) {
    bar.hidden = true;
    known = job?.id ?? known;
    await renew();
    if (job?.status === "failed") say("The refresh failed.");
    else if (job?.failures.length) say("Refreshed; some repositories could not be measured.");
    else say("Refreshed just now.");
    setBusy(false);
  }

  function askForToken() {
    setBusy(false);
    bar.hidden = true;
    say(token ? "That is not the token." : "");
    token = "";
    form.hidden = false;
    field.value = "";
    field.focus();
  }

  // The answer's status and body; null where the connection broke.
  async function ask() {
    try {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      const answer = await fetch("/api/refresh", { method: "POST", headers });
      return { status: answer.status, body: await answer.json().catch(() => ({})) };
    } catch {
      return null;
    }
  }

  async function start() {
    if (busy) return;
    setBusy(true);
    say("");
    form.hidden = true;
    const asked = ask();
    let answer;
    // Where there is no queue the refresh runs in this request, and the answer comes at its end.
    while ((answer = await Promise.race([asked, pause(POLL)])) === undefined) {
      const job = await readNewest();
      if (isActive(job)) show(job);
    }
    if (answer?.status === 401) return askForToken();
    token = "";
    if (answer === null || answer.status === 202) {
      const job = await watch();
      return end(job);
    }
    if (answer.status === 200 || answer.status === 502) return end(await readNewest());
    bar.hidden = true;
    setBusy(false);
    say(`Not refreshed: ${answer.body.error ?? `the service answered ${answer.status}`}.`);
  }

  async function follow() {
    setBusy(true);
    await end(await watch());
  }

  // A page that stays open shows the refreshes of the schedule and of others, too.
  async function look() {
    if (busy || document.hidden) return;
    const job = await readNewest();
    if (busy || !job) return;
    if (isActive(job)) return follow();
    if (known !== job.id) {
      const first = known === null;
      known = job.id;
      if (!first || !find("projects")) await renew();
    }
  }

  button.hidden = false;
  button.addEventListener("click", start);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token = field.value;
    start();
  });
  find("token-cancel").addEventListener("click", () => {
    form.hidden = true;
    say("");
    button.focus();
  });
  setInterval(look, LOOK);
  if (bar.dataset.job) follow();
  else look();
})();
