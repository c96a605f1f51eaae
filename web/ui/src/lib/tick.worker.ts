/** A heart for the page: timers of a worker are not slowed down when its tab is hidden. */
setInterval(() => postMessage(0), 1_000)
