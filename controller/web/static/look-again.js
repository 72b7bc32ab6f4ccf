// Keeps "Your server just now" up to date while somebody looks. Everything works without it.
"use strict";

const place = document.querySelector("[data-look-again]");

async function lookAgain() {
  if (document.hidden) return;
  try {
    const answer = await fetch(place.dataset.lookAgain, { credentials: "same-origin" });
    if (answer.status === 404) {
      // The case has closed, or the link has expired: the page itself says which.
      location.reload();
    } else if (answer.ok) {
      place.innerHTML = await answer.text();
    }
  } catch {
    // Out of reach for now: what was measured last stays, with its time beside it.
  }
}

if (place) setInterval(lookAgain, 1000 * Number(place.dataset.seconds));
