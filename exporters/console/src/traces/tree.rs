//! Arranges a trace as a tree, in rows from top to bottom.
//!
//! Parents come from foreign data. They may be missing, form a cycle, or nest so deeply that recursion would
//! overflow the stack.

use std::collections::HashMap;

use opentelemetry::trace::SpanId;
use telemark_sdk::trace::SpanData;

/// The maximum number of levels drawn. Deeper levels are shown as a number.
const MAX_LEVELS: usize = 9;

/// A span and its place in the tree.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) span: &'a SpanData,
    pub(crate) origin: Origin,
    /// The text drawn before the name.
    pub(crate) branch: String,
    /// The text drawn before further lines of the same span.
    pub(crate) below: String,
}

/// The reason for a row's position in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The span has no parent.
    Root,
    /// The parent is the row that this one branches from.
    Child,
    /// The parent is in another process.
    Remote,
    /// The parent has not ended yet or was dropped.
    Missing,
    /// The span is its own ancestor.
    Cycle,
}

/// Returns the rows for `spans`. Siblings are ordered by start time, as are trees without a common root.
pub(crate) fn rows(spans: &[SpanData]) -> Vec<Row<'_>> {
    let mut index = HashMap::with_capacity(spans.len());
    for (i, span) in spans.iter().enumerate() {
        index.entry(span.context.span_id()).or_insert(i);
    }
    let mut order: Vec<_> = (0..spans.len()).collect();
    order.sort_by_key(|&i| (spans[i].start, i));

    let mut children = vec![Vec::new(); spans.len()];
    let mut parents = vec![None; spans.len()];
    let mut roots = Vec::new();
    for &i in &order {
        let span = &spans[i];
        match index.get(&span.parent_span_id) {
            _ if span.parent_span_id == SpanId::INVALID => roots.push((i, Origin::Root)),
            Some(&parent) => {
                children[parent].push(i);
                parents[i] = Some(parent);
            }
            None if span.parent_is_remote => roots.push((i, Origin::Remote)),
            None => roots.push((i, Origin::Missing)),
        }
    }

    let mut walk = Walk {
        spans,
        parents,
        children,
        is_seen: vec![false; spans.len()],
        passed: vec![usize::MAX; spans.len()],
        rows: Vec::with_capacity(spans.len()),
    };
    roots.into_iter().for_each(|(root, origin)| walk.tree(root, origin));
    // Spans that cannot be reached from a root lead to a cycle. Start drawing at the cycle's earliest span.
    for i in order {
        if !walk.is_seen[i] {
            let entry = walk.circle_entry(i);
            walk.tree(entry, Origin::Cycle);
        }
    }
    walk.rows
}

struct Walk<'a> {
    spans: &'a [SpanData],
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    is_seen: Vec<bool>,
    /// For each span, the latest cycle search that visited it.
    passed: Vec<usize>,
    rows: Vec<Row<'a>>,
}

impl Walk<'_> {
    fn tree(&mut self, root: usize, origin: Origin) {
        // For each level, true if more siblings follow below the last row drawn at that level.
        let mut continues = Vec::new();
        let mut stack = vec![(root, 0, true)];
        self.is_seen[root] = true;
        while let Some((i, level, is_last)) = stack.pop() {
            continues.truncate(level);
            continues.push(!is_last);
            let first = stack.len();
            for &child in self.children[i].iter().rev() {
                if !std::mem::replace(&mut self.is_seen[child], true) {
                    stack.push((child, level + 1, stack.len() == first));
                }
            }
            let (branch, below) = rails(&continues, stack.len() > first);
            let origin = if level == 0 { origin } else { Origin::Child };
            self.rows.push(Row { span: &self.spans[i], origin, branch, below });
        }
    }

    /// Returns the earliest span of the cycle that the ancestors of `i` lead to.
    ///
    /// Every visited span is drawn together with this cycle, so all calls together visit each span only a few
    /// times.
    fn circle_entry(&mut self, i: usize) -> usize {
        let mut on_circle = i;
        while std::mem::replace(&mut self.passed[on_circle], i) != i {
            on_circle = self.parents[on_circle].unwrap_or(i);
        }
        let key = |i: usize| (self.spans[i].start, i);
        let mut entry = on_circle;
        let mut next = self.parents[on_circle].unwrap_or(on_circle);
        while next != on_circle {
            entry = if key(next) < key(entry) { next } else { entry };
            next = self.parents[next].unwrap_or(on_circle);
        }
        entry
    }
}

/// Returns the text before a row's name and the text before its further lines. The last element of `continues`
/// is for the row's own level.
fn rails(continues: &[bool], has_children: bool) -> (String, String) {
    const OPEN: &str = "│  ";
    const CLOSED: &str = "   ";
    let rail = |continues: &bool| if *continues { OPEN } else { CLOSED };
    let stem = if has_children { OPEN } else { "  " };
    let level = continues.len().saturating_sub(1);
    match continues {
        [] | [_] => (String::new(), stem.to_owned()),
        [.., last] if level > MAX_LEVELS => {
            let number = format!("⋮{level} ");
            let below = format!("{}{CLOSED}", " ".repeat(number.chars().count()));
            (number + if *last { "├─ " } else { "└─ " }, below)
        }
        [_, above @ .., last] => {
            let above: String = above.iter().map(rail).collect();
            let branch = format!("{above}{}", if *last { "├─ " } else { "└─ " });
            (branch, above + rail(last) + stem)
        }
    }
}
