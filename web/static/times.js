// Each time in words: "3 months ago". The title keeps the timestamp.
// The words are those of web/words.py, from the reader's clock.
(() => {
  "use strict";
  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const MONTH = 30.44, YEAR = 365.25;

  const count = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;

  function inDays(days) {
    if (days < 14) return count(days, "day");
    if (days < 2 * MONTH) return count(Math.floor(days / 7), "week");
    if (days < 2 * YEAR) return count(Math.floor(days / MONTH), "month");
    return count(Math.floor(days / YEAR), "year");
  }

  function span(seconds) {
    if (seconds < HOUR) return count(Math.max(1, Math.round(seconds / MINUTE)), "minute");
    return count(Math.round(seconds / HOUR), "hour");
  }

  function words(moment, now) {
    const seconds = (now - moment) / 1000;
    if (seconds < -45) return seconds > -DAY ? `in ${span(-seconds)}` : `in ${inDays(Math.round(-seconds / DAY))}`;
    if (seconds < 45) return seconds < 0 ? "any moment" : "just now";
    return `${span(seconds)} ago`;
  }

  // Last commits are shown by calendar day in UTC, like all days of the figures.
  function dayWords(moment, now) {
    const days = Math.floor(now / 86400000) - Math.floor(moment / 86400000);
    if (days < 0) return null;
    return ["today", "yesterday"][days] ?? `${inDays(days)} ago`;
  }

  function update() {
    const now = Date.now();
    for (const element of document.querySelectorAll("time[datetime]")) {
      const moment = Date.parse(element.dateTime);
      const recent = Math.abs(now - moment) < 86400000 && !element.closest("td");
      const said = recent || moment > now ? words(moment, now) : dayWords(moment, now);
      if (said && element.textContent !== said) element.textContent = said;
    }
  }

  update();
  setInterval(update, 30000);
  document.addEventListener("page:renewed", update);
})();
