// What differs between two texts: JSON by path, anything else by line. Nothing here recurses: JSON may nest ten
// thousand levels deep.

import { parse } from "./json.js";

const MAX_DIFFERENCES = 500;
const MAX_CELLS = 1_000_000; // of the table that aligns lines; more would take seconds
const CONTEXT = 3; // lines

// Returns {paths} or {lines}, and whether it is `cut`. A path is {path, old, new}, where what is missing on one
// side is null. A line is {sign, text}, where the sign is "-", "+", " ", or "…" for lines that were left out.
export function differences(old, now) {
  const roots = [parse(old), parse(now)];
  if (roots.every((root) => root?.children)) return byPath(...roots, old, now);
  const isShort = !`${old}${now}`.includes("\n");
  return isShort ? { paths: [{ path: "text", old, new: now }], cut: false } : byLine(old, now);
}

// ---- JSON

const textOf = (node, text) => (node ? text.slice(node.start, node.end) : null);

function byPath(oldRoot, newRoot, oldText, newText) {
  const paths = [];
  const left = [["", oldRoot, newRoot]];
  while (left.length && paths.length <= MAX_DIFFERENCES) {
    const [path, one, other] = left.pop();
    const [before, after] = [textOf(one, oldText), textOf(other, newText)];
    if (before === after) continue;
    const isSameKind = one?.children && one.kind === other?.kind;
    if (isSameKind) left.push(...pairs(path, one, other, oldText, newText).toReversed());
    else paths.push({ path: path || "all of it", old: before, new: after });
  }
  const cut = paths.length > MAX_DIFFERENCES;
  return { paths: paths.slice(0, MAX_DIFFERENCES), cut };
}

const pairs = (path, one, other, ...texts) =>
  (one.kind === "{" ? pairsOfMembers : pairsOfItems)(path, one.children, other.children, ...texts);

// By name; what is repeated, in its order.
function pairsOfMembers(path, old, now) {
  const places = new Map();
  const place = (side) => (node) => {
    const known = places.get(node.key) ?? [[], []];
    known[side].push(node);
    places.set(node.key, known);
  };
  old.forEach(place(0));
  now.forEach(place(1));
  return [...places].flatMap(([name, [before, after]]) => {
    const inner = path ? `${path}.${name}` : name;
    return Array.from({ length: Math.max(before.length, after.length) }, (_, at) => [
      inner,
      before[at],
      after[at],
    ]);
  });
}

// By index, after what both begin with and before what both end with.
function pairsOfItems(path, old, now, oldText, newText) {
  const isSame = (one, other) => oldText.slice(one.start, one.end) === newText.slice(other.start, other.end);
  const { start, oldEnd, newEnd } = trim(old, now, isSame);
  return Array.from({ length: Math.max(oldEnd, newEnd) - start }, (_, at) => [
    `${path}[${start + at}]`,
    start + at < oldEnd ? old[start + at] : undefined,
    start + at < newEnd ? now[start + at] : undefined,
  ]);
}

// Where two lists differ, without what both begin and end with.
function trim(old, now, isSame) {
  let start = 0;
  while (start < old.length && start < now.length && isSame(old[start], now[start])) start += 1;
  let [oldEnd, newEnd] = [old.length, now.length];
  while (oldEnd > start && newEnd > start && isSame(old[oldEnd - 1], now[newEnd - 1])) {
    oldEnd -= 1;
    newEnd -= 1;
  }
  return { start, oldEnd, newEnd };
}

// ---- lines

const kept = (lines) => lines.map((text) => ({ sign: " ", text }));

function byLine(oldText, newText) {
  const [old, now] = [oldText.split("\n"), newText.split("\n")];
  const { start, oldEnd, newEnd } = trim(old, now, (one, other) => one === other);
  const changed = align(old.slice(start, oldEnd), now.slice(start, newEnd));
  const lines = fold([...kept(old.slice(0, start)), ...changed, ...kept(old.slice(oldEnd))]);
  return { lines: lines.slice(0, MAX_DIFFERENCES), cut: lines.length > MAX_DIFFERENCES };
}

const removed = (text) => ({ sign: "-", text });
const added = (text) => ({ sign: "+", text });

// The longest common subsequence keeps its place; between texts too long for that, nothing does.
function align(old, now) {
  const width = now.length + 1;
  if ((old.length + 1) * width > MAX_CELLS) return [...old.map(removed), ...now.map(added)];
  const lengths = new Uint32Array((old.length + 1) * width);
  for (let one = old.length - 1; one >= 0; one -= 1)
    for (let other = now.length - 1; other >= 0; other -= 1) {
      const at = one * width + other;
      lengths[at] =
        old[one] === now[other]
          ? lengths[at + width + 1] + 1
          : Math.max(lengths[at + width], lengths[at + 1]);
    }
  const lines = [];
  let [one, other] = [0, 0];
  while (one < old.length || other < now.length) {
    const at = one * width + other;
    if (one < old.length && other < now.length && old[one] === now[other]) {
      lines.push({ sign: " ", text: old[one] });
      one += 1;
      other += 1;
    } else if (other === now.length || (one < old.length && lengths[at + width] >= lengths[at + 1])) {
      lines.push(removed(old[one]));
      one += 1;
    } else {
      lines.push(added(now[other]));
      other += 1;
    }
  }
  return lines;
}

// Leaves out the lines that are far from any difference.
function fold(lines) {
  const isNear = new Uint8Array(lines.length);
  lines.forEach(({ sign }, at) => {
    if (sign !== " ") isNear.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1);
  });
  const left = { sign: "…", text: "" };
  return lines.flatMap((line, at) => (isNear[at] ? [line] : isNear[at - 1] || !at ? [left] : []));
}
