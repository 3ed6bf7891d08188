//! Invented customers, accounts and payments: the same ones every time. No name belongs to a person we know of; addresses
//! are in towns that do not exist and have post codes that are not given out; e-mail is at example.org (RFC 2606); telephone
//! numbers are in the range that Ireland keeps for fiction (020 91x xxxx); account numbers have right check digits and a
//! bank code that no bank has.

use super::iban;

/// How many customers there are.
pub(super) const CUSTOMERS: usize = 50;
/// When the payments were made: these months of this year.
const YEAR: u32 = 2026;
const MONTHS: std::ops::RangeInclusive<u32> = 7..=10;

const FIRST_NAMES: [&str; 25] = [
    "Aoife", "Bela", "Ciara", "Darragh", "Elif", "Fergal", "Grainne", "Henrik", "Ines", "Joris", "Kasia", "Lorcan",
    "Maeve", "Nils", "Orla", "Piotr", "Quinta", "Ronan", "Saoirse", "Tomas", "Una", "Viktor", "Wanda", "Yannick",
    "Zofia",
];
const LAST_NAMES: [&str; 20] = [
    "Ashgrove",
    "Brennick",
    "Calloran",
    "Dunmarra",
    "Everling",
    "Fallonby",
    "Garrowe",
    "Hallivan",
    "Inchmore",
    "Jernick",
    "Kilbrannan",
    "Larkwell",
    "Morrowby",
    "Nethercott",
    "Ormandel",
    "Pellworth",
    "Quillan",
    "Rathmoor",
    "Skellig-Byrne",
    "Tarrowan",
];
const STREETS: [&str; 8] = [
    "Larch Row",
    "Mill Strand",
    "Quay Lane",
    "Tallow Street",
    "Weir Walk",
    "Gorse Hill",
    "Chandler's Yard",
    "Beacon Road",
];
const TOWNS: [&str; 5] = [
    "Port Cullin",
    "Ballymarra",
    "Kilderry Bridge",
    "Inishcorran",
    "Carrowbeg",
];
const SHOPS: [&str; 8] = [
    "Quay Grocers",
    "Strand Books",
    "Cullin Energy",
    "Marra Mobile",
    "Beacon Bakery",
    "Weir Fitness",
    "Larch Pharmacy",
    "Corran Ferries",
];
const EMPLOYERS: [&str; 4] = [
    "Cullin Harbour Board",
    "Marra Textiles",
    "Derry Bridge Hospital",
    "Corran Software",
];

/// The branches of the bank: id, name, address, telephone.
pub(super) const BRANCHES: [(&str, &str, &str, &str); 3] = [
    (
        "B-1",
        "Port Cullin Harbour",
        "1 Quay Lane, Port Cullin, Z99 P001",
        "+353 20 910 0001",
    ),
    (
        "B-2",
        "Ballymarra",
        "14 Mill Strand, Ballymarra, Z99 B014",
        "+353 20 910 0002",
    ),
    (
        "B-3",
        "Kilderry Bridge",
        "3 Weir Walk, Kilderry Bridge, Z99 K003",
        "+353 20 910 0003",
    ),
];

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) street: String,
    pub(super) town: String,
    pub(super) postcode: String,
    pub(super) date_of_birth: String,
    pub(super) branch: &'static str,
    pub(super) accounts: Vec<Account>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) iban: String,
    pub(super) kind: &'static str,
    pub(super) opening_cents: i64,
    pub(super) payments: Vec<Payment>,
}

/// A payment on an account; negative when it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    /// `YYYY-MM-DDThh:mm:ssZ`
    pub(super) booked_at: String,
    pub(super) amount_cents: i64,
    pub(super) counterparty: &'static str,
    pub(super) counterparty_iban: String,
    pub(super) reference: String,
}

/// Numbers that look like chance and are the same every time (Steele, Lea, Flood: SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = usize::try_from(to - from + 1).unwrap_or(1);
        from + i64::try_from(self.below(span)).unwrap_or_default()
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words.get(self.below(words.len())).copied().unwrap_or_default()
    }
}

/// All customers with their accounts and payments.
pub(super) fn everybody() -> Vec<Customer> {
    let mut chance = Chance(0x0b_a17);
    (0..CUSTOMERS).map(|index| customer(index, &mut chance)).collect()
}

fn customer(index: usize, chance: &mut Chance) -> Customer {
    // 25 and 20 have a common measure, so the second half is shifted to make no pair twice.
    let first = FIRST_NAMES.get(index % FIRST_NAMES.len()).copied().unwrap_or_default();
    let last = (index * 7 + index / FIRST_NAMES.len()) % LAST_NAMES.len();
    let last = LAST_NAMES.get(last).copied().unwrap_or_default();
    let town = chance.pick(&TOWNS);
    let accounts = if chance.below(3) == 0 { 2 } else { 1 };
    Customer {
        id: format!("C-{}", 1001 + index),
        name: format!("{first} {last}"),
        email: format!("{}.{}@example.org", first.to_lowercase(), last.to_lowercase()),
        phone: format!("+353 20 91{} {:04}", 1 + index % 9, chance.between(1000, 9999)),
        street: format!("{} {}", chance.between(1, 98), chance.pick(&STREETS)),
        town: town.to_owned(),
        postcode: format!("Z99 {}{:03}", town.get(..1).unwrap_or("X"), chance.between(100, 999)),
        date_of_birth: format!(
            "{}-{:02}-{:02}",
            chance.between(1941, 2007),
            chance.between(1, 12),
            chance.between(1, 28)
        ),
        branch: BRANCHES
            .get(chance.below(BRANCHES.len()))
            .map_or("B-1", |branch| branch.0),
        accounts: (0..accounts).map(|nth| account(index * 2 + nth, nth, chance)).collect(),
    }
}

fn account(number: usize, nth: usize, chance: &mut Chance) -> Account {
    let savings = nth > 0;
    let mut payments = Vec::new();
    for month in MONTHS {
        // Savings rest, but for a transfer now and then.
        if savings && chance.below(3) > 0 {
            continue;
        }
        let at = |day: i64, chance: &mut Chance| {
            format!(
                "{YEAR}-{month:02}-{day:02}T{:02}:{:02}:00Z",
                chance.between(7, 19),
                chance.between(0, 59)
            )
        };
        match savings {
            true => payments.push(Payment {
                booked_at: at(2, chance),
                amount_cents: chance.between(50, 300) * 100,
                counterparty: "Own current account",
                counterparty_iban: outside(9_000 + number),
                reference: "Saving".to_owned(),
            }),
            false => {
                let employer = chance.below(EMPLOYERS.len());
                payments.push(Payment {
                    booked_at: at(1, chance),
                    amount_cents: chance.between(190_000, 420_000),
                    counterparty: EMPLOYERS.get(employer).copied().unwrap_or_default(),
                    counterparty_iban: outside(7_000 + employer),
                    reference: format!("Salary {YEAR}-{month:02}"),
                });
                for _ in 0..chance.between(1, 3) {
                    let shop = chance.below(SHOPS.len());
                    let day = chance.between(2, 28);
                    payments.push(Payment {
                        booked_at: at(day, chance),
                        amount_cents: -chance.between(250, 28_000),
                        counterparty: SHOPS.get(shop).copied().unwrap_or_default(),
                        counterparty_iban: outside(8_000 + shop),
                        reference: format!("Invoice {}", chance.between(10_000, 99_999)),
                    });
                }
            }
        }
    }
    payments.sort_by(|a, b| a.booked_at.cmp(&b.booked_at));
    Account {
        id: format!("A-{}", 2001 + number),
        iban: iban::make("IE", &format!("DEMO990001{:08}", 10_000_000 + number * 137)),
        kind: if savings { "savings" } else { "current" },
        opening_cents: chance.between(20_000, 900_000),
        payments,
    }
}

/// An account at some other bank that does not exist either.
fn outside(number: usize) -> String {
    iban::make("IE", &format!("ELSE990002{number:08}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn everybody_is_invented_distinct_and_the_same_each_time() {
        let all = everybody();
        assert_eq!(all, everybody());
        assert_eq!(all.len(), CUSTOMERS);
        let names: HashSet<_> = all.iter().map(|customer| &customer.name).collect();
        assert_eq!(names.len(), CUSTOMERS);
        let accounts: Vec<&Account> = all.iter().flat_map(|customer| &customer.accounts).collect();
        let ibans: HashSet<_> = accounts.iter().map(|account| &account.iban).collect();
        assert_eq!(ibans.len(), accounts.len());
        let payments = accounts.iter().map(|account| account.payments.len()).sum::<usize>();
        assert!((300..1_000).contains(&payments), "{payments}");
        for customer in &all {
            assert!(customer.email.ends_with("@example.org") && customer.email.is_ascii());
            assert!(customer.phone.starts_with("+353 20 91"), "{}", customer.phone);
            assert!(customer.postcode.starts_with("Z99 "));
        }
        for account in accounts {
            assert_eq!(iban::parse(&account.iban).as_ref(), Some(&account.iban));
            let mut balance = account.opening_cents;
            for payment in &account.payments {
                balance += payment.amount_cents;
                assert!(balance >= 0, "{} is overdrawn", account.id);
                assert!(iban::parse(&payment.counterparty_iban).is_some());
            }
        }
    }
}
