//! What is planted: classes and values.

/// The classes of the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    ProviderToken,
    Password,
    GenericSecret,
    Jwt,
    PrivateKey,
    NationalId,
    HealthId,
    Card,
    Iban,
    BankAccount,
    Email,
    Phone,
    Person,
    Address,
    Ip,
    Mac,
    Dob,
    Passport,
    Crypto,
    DeviceId,
    VehicleId,
    DriverLicense,
}

impl Class {
    pub(super) const ALL: &[Self] = &[
        Self::ProviderToken,
        Self::Password,
        Self::GenericSecret,
        Self::Jwt,
        Self::PrivateKey,
        Self::NationalId,
        Self::HealthId,
        Self::Card,
        Self::Iban,
        Self::BankAccount,
        Self::Email,
        Self::Phone,
        Self::Person,
        Self::Address,
        Self::Ip,
        Self::Mac,
        Self::Dob,
        Self::Passport,
        Self::Crypto,
        Self::DeviceId,
        Self::VehicleId,
        Self::DriverLicense,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ProviderToken => "PROVIDER_TOKEN",
            Self::Password => "PASSWORD",
            Self::GenericSecret => "GENERIC_SECRET",
            Self::Jwt => "JWT",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::NationalId => "NATIONAL_ID",
            Self::HealthId => "HEALTH_ID",
            Self::Card => "CARD",
            Self::Iban => "IBAN",
            Self::BankAccount => "BANK_ACCOUNT",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Person => "PERSON",
            Self::Address => "ADDRESS",
            Self::Ip => "IP",
            Self::Mac => "MAC",
            Self::Dob => "DOB",
            Self::Passport => "PASSPORT",
            Self::Crypto => "CRYPTO",
            Self::DeviceId => "DEVICE_ID",
            Self::VehicleId => "VEHICLE_ID",
            Self::DriverLicense => "DRIVER_LICENSE",
        }
    }

    pub(super) fn is_secret(self) -> bool {
        self <= Self::PrivateKey
    }
}

/// One value of a class, as it is written when nothing disguises it.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) class: Class,
    /// What kind within the class, e.g. `us.ssn`.
    pub(super) sub: String,
    pub(super) text: String,
    /// What the value is called where it stands with a name.
    pub(super) label: String,
    /// Whether its form alone shows what it is.
    pub(super) proof: bool,
}

impl Value {
    pub(super) fn new(class: Class, sub: &str, text: impl Into<String>, label: &str, proof: bool) -> Self {
        Self {
            class,
            sub: sub.to_owned(),
            text: text.into(),
            label: label.to_owned(),
            proof,
        }
    }
}
