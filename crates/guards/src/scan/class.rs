//! What a finding is. The names are those of the corpora and of the record.

use std::fmt;

/// Which of the two families a class belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// What lets its bearer in.
    Secrets,
    /// What says who somebody is, or where.
    Personal,
}

macro_rules! classes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal in $family:ident,)*) => {
        /// The class of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class {
            $($(#[doc = $doc])* $name,)*
        }

        impl Class {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it in rules, record and output.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Its family.
            #[must_use]
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$name => Family::$family,)*
                }
            }
        }
    };
}

classes! {
    /// A key or token whose form names its issuer.
    ProviderToken = "PROVIDER_TOKEN" in Secrets,
    /// A password, passphrase or PIN.
    Password = "PASSWORD" in Secrets,
    /// A key or token of no known issuer, known by what names it.
    GenericSecret = "GENERIC_SECRET" in Secrets,
    /// A JSON Web Token (RFC 7519).
    Jwt = "JWT" in Secrets,
    /// A private key, from its first line to its last.
    PrivateKey = "PRIVATE_KEY" in Secrets,
    /// A national or tax number of a person.
    NationalId = "NATIONAL_ID" in Personal,
    /// The number of a payment card.
    Card = "CARD" in Personal,
    /// An IBAN (ISO 13616).
    Iban = "IBAN" in Personal,
    /// Another account at a bank.
    BankAccount = "BANK_ACCOUNT" in Personal,
    /// An address for mail (RFC 5322).
    Email = "EMAIL" in Personal,
    /// A telephone number.
    Phone = "PHONE" in Personal,
    /// A number of a patient, insured person or practitioner.
    HealthId = "HEALTH_ID" in Personal,
    /// An address of the Internet protocol, 4 or 6.
    Ip = "IP" in Personal,
    /// An address of a network card.
    Mac = "MAC" in Personal,
    /// A date of birth.
    Dob = "DOB" in Personal,
    /// A passport's number, or its machine-readable lines.
    Passport = "PASSPORT" in Personal,
    /// A driver's licence.
    DriverLicense = "DRIVER_LICENSE" in Personal,
    /// A vehicle, by its number or plate.
    VehicleId = "VEHICLE_ID" in Personal,
    /// A device, by IMEI, ICCID and the like.
    DeviceId = "DEVICE_ID" in Personal,
    /// An address of a crypto currency.
    Crypto = "CRYPTO" in Personal,
    /// A person's name, where structure says that it is one.
    Person = "PERSON" in Personal,
    /// A postal address, where structure says that it is one.
    Address = "ADDRESS" in Personal,
}

impl Class {
    /// The class of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == name)
    }

    /// Whether its values are numbers: grouped by signs that say nothing, in letters whose case says nothing.
    pub(crate) const fn is_a_number(self) -> bool {
        matches!(
            self,
            Self::NationalId
                | Self::Card
                | Self::Iban
                | Self::BankAccount
                | Self::Phone
                | Self::HealthId
                | Self::Mac
                | Self::Passport
                | Self::DriverLicense
                | Self::VehicleId
                | Self::DeviceId
        )
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
