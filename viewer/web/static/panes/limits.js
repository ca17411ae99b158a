// How much of a message the panes show at once.

export const MAX_SHOWN = 256 * 1024; // characters, until the reader asks for all
