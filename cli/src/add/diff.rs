//! The changes of a file as a patch, which `git apply` and `patch -p1` take.

use std::fmt::Write as _;

/// The number of unchanged lines around a change.
const CONTEXT: usize = 3;

/// A line of a comparison: of both texts, or of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// Returns the unified difference of two texts.
pub(crate) fn unified(name: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let lines = compare(&old, &new);
    let mut text = format!("--- a/{name}\n+++ b/{name}\n");
    let changed: Vec<_> = (0..lines.len()).filter(|index| !matches!(lines[*index], Line::Both(_))).collect();
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        let mut count = 1;
        while count < rest.len() && rest[count] - rest[count - 1] <= 2 * CONTEXT {
            count += 1;
        }
        let (start, end) = (first.saturating_sub(CONTEXT), (rest[count - 1] + CONTEXT + 1).min(lines.len()));
        hunk(&mut text, &lines, start, end);
        rest = &rest[count..];
    }
    text
}

fn hunk(text: &mut String, lines: &[Line<'_>], start: usize, end: usize) {
    let of_old = |lines: &[Line<'_>]| lines.iter().filter(|line| !matches!(line, Line::New(_))).count();
    let of_new = |lines: &[Line<'_>]| lines.iter().filter(|line| !matches!(line, Line::Old(_))).count();
    let (before, inside) = (&lines[..start], &lines[start..end]);
    // A range without lines begins at the line before it.
    let range = |before: usize, count: usize| format!("{},{count}", before + usize::from(count > 0));
    let (old, new) = (range(of_old(before), of_old(inside)), range(of_new(before), of_new(inside)));
    let _ = writeln!(text, "@@ -{old} +{new} @@");
    for line in inside {
        let (mark, line) = match line {
            Line::Both(line) => (' ', line),
            Line::Old(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        let _ = write!(text, "{mark}{line}");
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// Compares two lists of lines with the algorithm of Myers, whose effort grows with the number of differences.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let common = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let rest = old[common..].iter().rev().zip(new[common..].iter().rev());
    let end = rest.take_while(|(one, other)| one == other).count();
    let mut lines: Vec<_> = old[..common].iter().map(|line| Line::Both(line)).collect();
    lines.extend(shortest(&old[common..old.len() - end], &new[common..new.len() - end]));
    lines.extend(old[old.len() - end..].iter().map(|line| Line::Both(line)));
    lines
}

fn shortest<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (height, width) = (old.len(), new.len());
    let offset = height + width;
    // How far each diagonal leads into `old`, before each step.
    let mut furthest = vec![0; 2 * offset + 2];
    let mut history: Vec<Vec<usize>> = Vec::new();
    for step in 0..=offset {
        let window = offset - step..=offset + step;
        history.push(furthest[window.clone()].to_vec());
        for diagonal in window.step_by(2) {
            let mut x = start(&furthest, diagonal, offset - step, offset + step);
            let mut y = (x + offset).saturating_sub(diagonal);
            while x < height && y < width && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            furthest[diagonal] = x;
            if x >= height && y >= width {
                return trace(old, new, &history, offset);
            }
        }
    }
    Vec::new()
}

/// Returns where a diagonal begins: one line further in `old` than the one below it, or as far as the one above.
fn start(furthest: &[usize], diagonal: usize, first: usize, last: usize) -> usize {
    if first == last {
        return 0;
    }
    let comes_from_above = diagonal == first || (diagonal != last && furthest[diagonal - 1] < furthest[diagonal + 1]);
    if comes_from_above { furthest[diagonal + 1] } else { furthest[diagonal - 1] + 1 }
}

fn trace<'a>(old: &[&'a str], new: &[&'a str], history: &[Vec<usize>], offset: usize) -> Vec<Line<'a>> {
    let (mut x, mut y) = (old.len(), new.len());
    let mut lines = Vec::new();
    for (step, window) in history.iter().enumerate().rev() {
        let diagonal = x + offset - y;
        // The window begins at the diagonal `offset - step`.
        let at = |diagonal: usize| {
            (diagonal + step).checked_sub(offset).and_then(|index| window.get(index)).copied().unwrap_or_default()
        };
        let (first, last) = (offset - step, offset + step);
        let comes_from_above = diagonal == first || (diagonal != last && at(diagonal - 1) < at(diagonal + 1));
        let (from_x, from_diagonal) = match (step, comes_from_above) {
            (0, _) => (0, offset),
            (_, true) => (at(diagonal + 1), diagonal + 1),
            (_, false) => (at(diagonal - 1), diagonal - 1),
        };
        let from_y = (from_x + offset).saturating_sub(from_diagonal);
        while x > from_x && y > from_y {
            (x, y) = (x - 1, y - 1);
            lines.push(Line::Both(old[x]));
        }
        if step > 0 {
            match comes_from_above {
                true => lines.push(Line::New(new[y - 1])),
                false => lines.push(Line::Old(old[x - 1])),
            }
        }
        (x, y) = (from_x, from_y);
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_has_its_surroundings() {
        let old: String = (1..=20).map(|line| format!("{line}\n")).collect();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n18\n", "\n18\nmore\n");
        let expected = "--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -16,5 +16,6 @@\n 16\n 17\n 18\n+more\n 19\n 20\n";
        assert_eq!(unified("x", &old, &new), expected);
        assert_eq!(unified("x", "", "a\n"), "--- a/x\n+++ b/x\n@@ -0,0 +1,1 @@\n+a\n");
        let expected =
            "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n";
        assert_eq!(unified("x", "a", "b"), expected);
    }

    proptest! {
        #[test]
        fn both_texts_are_in_the_comparison(old in proptest::collection::vec(0u8..4, 0..30), new in proptest::collection::vec(0u8..4, 0..30)) {
            const WORDS: [&str; 4] = ["a", "b", "c", "d"];
            let word = |lines: &[u8]| -> Vec<&'static str> { lines.iter().map(|line| WORDS[usize::from(*line)]).collect() };
            let (old, new) = (word(&old), word(&new));
            let lines = compare(&old, &new);
            let of_old = lines.iter().filter_map(|line| match line { Line::Both(line) | Line::Old(line) => Some(*line), Line::New(_) => None });
            prop_assert_eq!(of_old.collect::<Vec<_>>(), old);
            let of_new = lines.iter().filter_map(|line| match line { Line::Both(line) | Line::New(line) => Some(*line), Line::Old(_) => None });
            prop_assert_eq!(of_new.collect::<Vec<_>>(), new);
        }
    }
}
