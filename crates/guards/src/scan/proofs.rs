//! Forms that are proof without a word beside them, by the group of letters and digits that they begin with, so that a text is
//! compared with those few of them that may begin where it has a group.

use super::pattern::{LENGTHS_LAST, has};
use super::rules::Rules;

/// So many bytes behind the one behind a first group tell whether the rest is worth a look.
const FOLLOWING: usize = 4;

/// First groups are at most so long.
const GROUP_BYTES_MAX: usize = 120;

/// Forms that are proof, by their first group: its length, what it is made of, and the byte behind it.
#[derive(Debug)]
pub(super) struct Proofs {
    /// By the byte behind a group, the index of its kind: 0 for what only comes behind a whole form.
    behind: [u8; 256],
    /// How many kinds there are.
    kinds: usize,
    /// By length, by what the group is made of, by what comes behind.
    lists: Vec<List>,
    /// By what the group is made of and the byte behind it: a bit for each length that has a list. The last is for all longer ones.
    lengths: [[u64; 256]; 3],
}

/// Some of them, and what any of them may begin with, and have behind the byte behind the group, byte by byte.
#[derive(Debug, Clone, Default)]
struct List {
    proofs: Vec<Proof>,
    first: u128,
    then: [u128; FOLLOWING],
}

/// What a group is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    Letters,
    Digits,
    Both,
}

/// Letters and digits between others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) made: Made,
}

impl Proofs {
    fn at(&self, length: usize, made: Made, behind: u8) -> usize {
        let behind = self.behind.get(usize::from(behind)).copied().unwrap_or(0);
        (length * 3 + made as usize) * self.kinds + usize::from(behind)
    }

    pub(super) fn of(rules: &Rules) -> Self {
        let mut proofs = Self {
            behind: [0; 256],
            kinds: 1,
            lists: Vec::new(),
            lengths: [[0; 256]; 3],
        };
        let forms = || {
            let identifiers = rules.identifiers.iter().enumerate();
            identifiers.flat_map(|(identifier, rule)| {
                let forms = rule.forms.iter().enumerate().filter(|(_, form)| form.is_proof);
                forms.map(move |(at, form)| (identifier, at, &form.pattern))
            })
        };
        let separators = forms().fold(0, |all, (_, _, pattern)| {
            let groups = pattern.first_group();
            groups.fold(all, |all, length| all | pattern.behind_first_group::<0>(length).0)
        });
        for (byte, kind) in (0_u8..128).zip(&mut proofs.behind) {
            if separators >> byte & 1 == 1 {
                *kind = u8::try_from(proofs.kinds).unwrap_or(0);
                proofs.kinds += 1;
            }
        }
        proofs.lists = vec![List::default(); (GROUP_BYTES_MAX + 1) * 3 * proofs.kinds];
        for (identifier, form, pattern) in forms() {
            let (letters, digits, both) = pattern.first_group_kinds();
            for length in pattern.first_group() {
                let (goes_on_with, then) = pattern.behind_first_group(length);
                let may_end = pattern.alone().is_some_and(|alone| length >= alone);
                let proof = Proof {
                    identifier,
                    form,
                    first: pattern.beginning(),
                    then: if may_end { [u128::MAX; FOLLOWING] } else { then },
                };
                // Where a match ends, a separator of other forms may come, or anything else.
                let comes = if may_end { separators } else { goes_on_with };
                let behind = (0_u8..128).filter(|byte| comes >> byte & 1 == 1);
                let behind: Vec<u8> = behind.chain(may_end.then_some(u8::MAX)).collect();
                for (made, may_be) in [(Made::Letters, letters), (Made::Digits, digits), (Made::Both, both)] {
                    for behind in behind.iter().filter(|_| may_be) {
                        let at = proofs.at(length, made, *behind);
                        if let Some(list) = proofs.lists.get_mut(at) {
                            list.proofs.push(proof);
                            list.first |= proof.first;
                            for (all, then) in list.then.iter_mut().zip(&proof.then) {
                                *all |= then;
                            }
                        }
                        let of_kind = proofs.behind.get(usize::from(*behind)).copied();
                        let lengths = proofs.lengths.get_mut(made as usize);
                        for (kind, lengths) in proofs.behind.iter().zip(lengths.into_iter().flatten()) {
                            if Some(*kind) == of_kind {
                                *lengths |= 1 << length.min(LENGTHS_LAST);
                            }
                        }
                    }
                }
            }
        }
        proofs
    }

    /// Gives `found` each form that a match may have which begins with this group of `text`: the index of its identifier, and
    /// which of its forms it is.
    #[inline]
    pub(super) fn of_group(&self, text: &[u8], group: &Group, mut found: impl FnMut(usize, usize)) {
        let Group { start, length, made } = *group;
        let behind = text.get(start + length).copied().unwrap_or(u8::MAX);
        let lengths = self
            .lengths
            .get(made as usize)
            .and_then(|lengths| lengths.get(usize::from(behind)));
        // For most groups there is none.
        if lengths.is_none_or(|lengths| lengths >> length.min(LENGTHS_LAST) & 1 == 0) {
            return;
        }
        // Behind a match anything may come.
        let may_come = |set: u128, at: usize| set == u128::MAX || text.get(at).is_some_and(|byte| has(set, *byte));
        let begin = start + length + 1;
        let follow = |then: &[u128; FOLLOWING]| (begin..).zip(then).all(|(at, set)| may_come(*set, at));
        let list = self.lists.get(self.at(length, made, behind));
        let Some(list) = list.filter(|list| may_come(list.first, start) && follow(&list.then)) else {
            return;
        };
        for proof in &list.proofs {
            if may_come(proof.first, start) && follow(&proof.then) {
                found(proof.identifier, proof.form);
            }
        }
    }
}

/// A form of an identifier that is proof.
#[derive(Debug, Clone, Copy)]
struct Proof {
    identifier: usize,
    form: usize,
    /// What a match may begin with.
    first: u128,
    /// What may come behind the byte behind the group, and then.
    then: [u128; FOLLOWING],
}
