// What arrives live is a message, or a gap: {from, to, count}, a range of numbers whose messages were left
// out. The count is null where nobody knows it.

export const isGap = (item) => item.from !== undefined;
export const firstNumber = (item) => item.from ?? item.seq;
export const lastNumber = (item) => item.to ?? item.seq;
export const messageCount = (item) => (isGap(item) ? (item.count ?? 0) : 1);
