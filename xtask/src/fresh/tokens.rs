//! Tokens and keys of known issuers, in the formats that the issuers publish. All random; checksums hold where the issuer has one.

use super::codec::{base62, base64, base64_url, bech32, five_bits};
use super::dice::{ALNUM, BASE32, DIGITS, Dice, HEX, LOWER, LOWER_ALNUM, STD64, UPPER_ALNUM, URL64};
use super::value::{Class, Value};

/// Issuer and kind; the name of its variable; forms, a space between; `+` when the form alone is proof, `-` when it needs a name.
///
/// In a form `{h:32}` is 32 hex digits; `a` letters and digits, `l` the same in lower case, `z` lower-case letters, `u` upper
/// case, `w` base64url, `s` base64, `b` base32, `d` digits, `H` upper hex; `{uuid}`; the rest are words of `fill`.
#[rustfmt::skip]
const ISSUERS: &[(&str, &str, &str, char)] = &[
    ("github.pat", "GITHUB_TOKEN", "{crc:ghp_}", '+'),
    ("github.pat", "GH_TOKEN", "{crc:ghp_}", '+'),
    ("github.oauth", "GITHUB_OAUTH_TOKEN", "{crc:gho_}", '+'),
    ("github.app", "GITHUB_APP_TOKEN", "{crc:ghs_} {crc:ghu_}", '+'),
    ("github.refresh", "GITHUB_REFRESH_TOKEN", "{crc:ghr_}", '+'),
    ("github.fine", "GITHUB_PAT", "{fine}", '+'),
    ("gitlab.pat", "GITLAB_TOKEN", "glpat-{w:20} glpat-{w:20}", '+'),
    ("gitlab.other", "CI_DEPLOY_TOKEN", "gldt-{w:20} glrt-{w:20} glptt-{h:40} glft-{w:20} glsoat-{w:20} glcbt-{h:2}_{w:20} glagent-{w:50}", '+'),
    ("bitbucket", "BITBUCKET_APP_PASSWORD", "ATBB{a:24}{H:8}", '+'),
    ("sourcegraph", "SRC_ACCESS_TOKEN", "sgp_{h:16}_{h:40}", '+'),
    ("npm", "NPM_TOKEN", "{crc:npm_}", '+'),
    ("pypi", "TWINE_PASSWORD", "pypi-AgEIcHlwaS5vcmc{w:160}", '+'),
    ("rubygems", "GEM_HOST_API_KEY", "rubygems_{h:48}", '+'),
    ("crates.io", "CARGO_REGISTRY_TOKEN", "cio{a:32}", '+'),
    ("nuget", "NUGET_API_KEY", "oy2{l:43}", '+'),
    ("clojars", "CLOJARS_PASSWORD", "CLOJARS_{h:60}", '+'),
    ("docker", "DOCKERHUB_TOKEN", "dckr_pat_{w:27}", '+'),
    ("artifactory", "ARTIFACTORY_API_KEY", "AKCp{d:1}{a:68}", '+'),
    ("artifactory.ref", "JFROG_TOKEN", "{jfrog}", '+'),
    ("aws.access", "AWS_ACCESS_KEY_ID", "AKIA{b:16} AKIA{b:16} ASIA{b:16}", '+'),
    ("aws.secret", "AWS_SECRET_ACCESS_KEY", "{s:40}", '-'),
    ("aws.session", "AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2Vj{s:280}==", '-'),
    ("aws.bedrock", "AWS_BEARER_TOKEN_BEDROCK", "ABSK{bedrock}", '+'),
    ("gcp.apikey", "GOOGLE_API_KEY", "AIzaSy{w:33}", '+'),
    ("gcp.oauth", "GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.a0A{w:180} ya29.c.{w:140}", '+'),
    ("gcp.client", "GOOGLE_CLIENT_SECRET", "GOCSPX-{w:28}", '+'),
    ("gcp.refresh", "GOOGLE_REFRESH_TOKEN", "1//0{d:1}{w:96}", '-'),
    ("azure.client", "AZURE_CLIENT_SECRET", "{a:3}8Q~{w:34} {a:3}7Q~{w:34}", '+'),
    ("azure.storage", "AZURE_STORAGE_KEY", "{s:86}==", '-'),
    ("azure.function", "AZURE_FUNCTION_KEY", "{w:44}AzFu{w:4}{w:2}==", '-'),
    ("azure.devops", "AZURE_DEVOPS_EXT_PAT", "{azdo}", '+'),
    ("digitalocean", "DIGITALOCEAN_TOKEN", "dop_v1_{h:64} doo_v1_{h:64} dor_v1_{h:64}", '+'),
    ("heroku", "HEROKU_API_KEY", "HRKU-AA{w:58}", '+'),
    ("cloudflare", "CLOUDFLARE_API_TOKEN", "{w:40}", '-'),
    ("cloudflare.origin", "CF_ORIGIN_CA_KEY", "v1.0-{h:24}-{h:146}", '+'),
    ("fly", "FLY_API_TOKEN", "fo1_{w:43} fm2_{s:120}", '+'),
    ("netlify", "NETLIFY_AUTH_TOKEN", "nfp_{a:36}", '+'),
    ("supabase", "SUPABASE_ACCESS_TOKEN", "sbp_{h:40} sb_secret_{w:22}_{w:8}", '+'),
    ("planetscale", "PLANETSCALE_SERVICE_TOKEN", "pscale_tkn_{w:43} pscale_pw_{w:43} pscale_oauth_{w:43}", '+'),
    ("neon", "NEON_API_KEY", "napi_{l:64}", '+'),
    ("databricks", "DATABRICKS_TOKEN", "dapi{h:32} dapi{h:32}-2", '+'),
    ("alibaba", "ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI5t{a:18}", '+'),
    ("tencent", "TENCENTCLOUD_SECRET_ID", "AKID{a:32}", '+'),
    ("yandex", "YC_API_KEY", "AQVN{w:36}", '+'),
    ("linode", "LINODE_TOKEN", "{h:64}", '-'),
    ("slack.bot", "SLACK_BOT_TOKEN", "xoxb-{d:12}-{d:13}-{a:24}", '+'),
    ("slack.user", "SLACK_USER_TOKEN", "xoxp-{d:12}-{d:12}-{d:13}-{h:32}", '+'),
    ("slack.app", "SLACK_APP_TOKEN", "xapp-1-A0{u:9}-{d:13}-{h:64}", '+'),
    ("slack.webhook", "SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0{u:9}/B0{u:9}/{a:24}", '+'),
    ("discord.bot", "DISCORD_TOKEN", "{discord}", '+'),
    ("discord.webhook", "DISCORD_WEBHOOK", "https://discord.com/api/webhooks/1{d:18}/{w:68}", '+'),
    ("telegram", "TELEGRAM_BOT_TOKEN", "{d:10}:AA{w:33}", '+'),
    ("teams", "TEAMS_WEBHOOK_URL", "https://{z:8}.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{h:32}/{uuid}", '+'),
    ("stripe", "STRIPE_SECRET_KEY", "sk_live_51{a:97} sk_live_{a:24} rk_live_51{a:97} sk_test_51{a:97}", '+'),
    ("stripe.webhook", "STRIPE_WEBHOOK_SECRET", "whsec_{a:32}", '+'),
    ("braintree", "BRAINTREE_ACCESS_TOKEN", "access_token$production${l:16}${h:32}", '+'),
    ("square", "SQUARE_ACCESS_TOKEN", "sq0atp-{w:22} sq0csp-{w:43} EAAAl{w:59}", '+'),
    ("shopify", "SHOPIFY_ACCESS_TOKEN", "shpat_{h:32} shpss_{h:32} shpca_{h:32} shppa_{h:32}", '+'),
    ("plaid", "PLAID_ACCESS_TOKEN", "access-production-{uuid} access-sandbox-{uuid}", '+'),
    ("flutterwave", "FLW_SECRET_KEY", "FLWSECK-{h:32}-X FLWSECK_TEST-{h:32}-X", '+'),
    ("paystack", "PAYSTACK_SECRET_KEY", "sk_live_{h:40} sk_test_{h:40}", '+'),
    ("mollie", "MOLLIE_API_KEY", "live_{a:30}", '-'),
    ("mercadopago", "MP_ACCESS_TOKEN", "APP_USR-{d:16}-{d:6}-{h:32}-{d:9}", '+'),
    ("shippo", "SHIPPO_TOKEN", "shippo_live_{h:40}", '+'),
    ("duffel", "DUFFEL_ACCESS_TOKEN", "duffel_live_{w:43}", '+'),
    ("easypost", "EASYPOST_API_KEY", "EZAK{a:54}", '+'),
    ("sendgrid", "SENDGRID_API_KEY", "SG.{w:22}.{w:43}", '+'),
    ("mailgun", "MAILGUN_API_KEY", "key-{h:32} {h:32}-{h:8}-{h:8}", '-'),
    ("mailchimp", "MAILCHIMP_API_KEY", "{h:32}-us{d:1} {h:32}-us1{d:1}", '+'),
    ("brevo", "BREVO_API_KEY", "xkeysib-{h:64}-{a:16} xsmtpsib-{h:64}-{a:16}", '+'),
    ("postmark", "POSTMARK_SERVER_TOKEN", "{uuid}", '-'),
    ("resend", "RESEND_API_KEY", "re_{a:8}_{a:24}", '+'),
    ("mailersend", "MAILERSEND_API_KEY", "mlsn.{h:64}", '+'),
    ("twilio", "TWILIO_API_KEY", "SK{h:32}", '+'),
    ("twilio.auth", "TWILIO_AUTH_TOKEN", "{h:32}", '-'),
    ("openai", "OPENAI_API_KEY", "sk-proj-{w:74}T3BlbkFJ{w:74} sk-{a:20}T3BlbkFJ{a:20} sk-svcacct-{w:74}T3BlbkFJ{w:74} sk-admin-{w:58}T3BlbkFJ{w:58}", '+'),
    ("anthropic", "ANTHROPIC_API_KEY", "sk-ant-api03-{w:93}AA sk-ant-admin01-{w:93}AA sk-ant-oat01-{w:93}AA", '+'),
    ("huggingface", "HF_TOKEN", "hf_{A:34}", '+'),
    ("replicate", "REPLICATE_API_TOKEN", "r8_{a:37}", '+'),
    ("groq", "GROQ_API_KEY", "gsk_{a:20}WGdyb3FY{a:24}", '+'),
    ("perplexity", "PERPLEXITY_API_KEY", "pplx-{a:48}", '+'),
    ("openrouter", "OPENROUTER_API_KEY", "sk-or-v1-{h:64}", '+'),
    ("xai", "XAI_API_KEY", "xai-{a:80}", '+'),
    ("nvidia", "NVIDIA_API_KEY", "nvapi-{w:64}", '+'),
    ("langsmith", "LANGSMITH_API_KEY", "lsv2_pt_{h:32}_{h:10} lsv2_sk_{h:32}_{h:10}", '+'),
    ("langfuse", "LANGFUSE_SECRET_KEY", "sk-lf-{uuid}", '+'),
    ("pinecone", "PINECONE_API_KEY", "pcsk_{a:6}_{a:63}", '+'),
    ("cohere", "COHERE_API_KEY", "{a:40}", '-'),
    ("mistral", "MISTRAL_API_KEY", "{a:32}", '-'),
    ("deepseek", "DEEPSEEK_API_KEY", "sk-{h:32}", '-'),
    ("elevenlabs", "ELEVENLABS_API_KEY", "sk_{h:48}", '+'),
    ("tavily", "TAVILY_API_KEY", "tvly-dev-{a:32} tvly-{a:32}", '+'),
    ("circleci", "CIRCLE_TOKEN", "CCIPAT_{a:22}_{h:40} CCIPRJ_{a:22}_{h:40}", '+'),
    ("buildkite", "BUILDKITE_API_TOKEN", "bkua_{h:40}", '+'),
    ("terraform", "TFE_TOKEN", "{a:14}.atlasv1.{w:67}", '+'),
    ("vault", "VAULT_TOKEN", "hvs.CAESI{w:90} hvb.AAAAAQ{w:140} hvs.{a:24}", '+'),
    ("pulumi", "PULUMI_ACCESS_TOKEN", "pul-{h:40}", '+'),
    ("doppler", "DOPPLER_TOKEN", "dp.pt.{a:43} dp.st.prd.{a:43} dp.ct.{a:43}", '+'),
    ("1password", "OP_SERVICE_ACCOUNT_TOKEN", "{onepassword}", '+'),
    ("infracost", "INFRACOST_API_KEY", "ico-{a:32}", '+'),
    ("prefect", "PREFECT_API_KEY", "pnu_{l:36}", '+'),
    ("grafana.sa", "GRAFANA_TOKEN", "{grafana}", '+'),
    ("grafana.cloud", "GRAFANA_CLOUD_API_KEY", "{grafanacloud}", '+'),
    ("datadog", "DD_API_KEY", "{h:32}", '-'),
    ("datadog.app", "DD_APP_KEY", "{h:40}", '-'),
    ("newrelic", "NEW_RELIC_API_KEY", "NRAK-{u:27}", '+'),
    ("newrelic.license", "NEW_RELIC_LICENSE_KEY", "{h:36}NRAL eu01xx{h:30}NRAL", '+'),
    ("sentry", "SENTRY_AUTH_TOKEN", "{sentry} sntryu_{h:64}", '+'),
    ("honeycomb", "HONEYCOMB_API_KEY", "hcaik_01{l:56}", '+'),
    ("dynatrace", "DT_API_TOKEN", "dt0c01.{b:24}.{b:64}", '+'),
    ("posthog", "POSTHOG_PERSONAL_API_KEY", "phx_{a:43}", '+'),
    ("sonar", "SONAR_TOKEN", "sqp_{h:40} squ_{h:40} sqa_{h:40}", '+'),
    ("launchdarkly", "LAUNCHDARKLY_SDK_KEY", "sdk-{uuid} api-{uuid}", '+'),
    ("postman", "POSTMAN_API_KEY", "PMAK-{h:24}-{h:34}", '+'),
    ("linear", "LINEAR_API_KEY", "lin_api_{a:40}", '+'),
    ("notion", "NOTION_TOKEN", "ntn_{d:11}{a:35} secret_{a:43}", '+'),
    ("airtable", "AIRTABLE_TOKEN", "pat{a:14}.{h:64}", '+'),
    ("figma", "FIGMA_TOKEN", "figd_{w:40}", '+'),
    ("asana", "ASANA_ACCESS_TOKEN", "2/{d:16}/{d:16}:{h:32} 1/{d:16}:{h:32}", '+'),
    ("atlassian", "ATLASSIAN_API_TOKEN", "{atlassian}", '+'),
    ("hubspot", "HUBSPOT_ACCESS_TOKEN", "pat-na1-{uuid} pat-eu1-{uuid}", '+'),
    ("contentful", "CONTENTFUL_MANAGEMENT_TOKEN", "CFPAT-{w:43}", '+'),
    ("dropbox", "DROPBOX_ACCESS_TOKEN", "sl.u.{w:140} sl.B{w:136}", '+'),
    ("mapbox", "MAPBOX_SECRET_TOKEN", "{mapbox}", '+'),
    ("okta", "OKTA_API_TOKEN", "00{w:40}", '-'),
    ("facebook", "FB_PAGE_ACCESS_TOKEN", "EAA{a:180}", '+'),
    ("twitter", "TWITTER_BEARER_TOKEN", "AAAAAAAAAAAAAAAAAAAAA{a:40}%3D{a:50}", '+'),
    ("age", "AGE_SECRET_KEY", "{age}", '+'),
    ("tailscale", "TS_AUTHKEY", "tskey-auth-k{a:10}CNTRL-{a:32} tskey-api-k{a:10}CNTRL-{a:32}", '+'),
    ("typeform", "TYPEFORM_TOKEN", "tfp_{w:44}_{w:14}", '+'),
    ("readme", "README_API_KEY", "rdme_{l:70}", '+'),
    ("frameio", "FRAMEIO_TOKEN", "fio-u-{w:64}", '+'),
    ("jetbrains", "JB_SPACE_TOKEN", "{jetbrains}", '+'),
    ("intercom", "INTERCOM_ACCESS_TOKEN", "{intercom}", '+'),
];

/// A token of any issuer, its label being the name of its variable.
pub(super) fn token(dice: &mut Dice) -> Value {
    let at = dice.below(ISSUERS.len());
    issued(dice, at)
}

/// A token whose form alone is proof.
pub(super) fn proven(dice: &mut Dice) -> Value {
    loop {
        let value = token(dice);
        if value.proof {
            return value;
        }
    }
}

/// A token of the first issuer whose sub starts with `sub`.
pub(super) fn of(dice: &mut Dice, sub: &str) -> Value {
    let fitting: Vec<usize> = (0..ISSUERS.len())
        .filter(|at| ISSUERS[*at].0.starts_with(sub))
        .collect();
    if fitting.is_empty() {
        return token(dice);
    }
    let at = *dice.pick(&fitting);
    issued(dice, at)
}

fn issued(dice: &mut Dice, at: usize) -> Value {
    let (sub, name, forms, proof) = ISSUERS[at];
    let forms: Vec<&str> = forms.split(' ').collect();
    let form = *dice.pick(&forms);
    let mut text = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('{') {
        let (slot, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        let (kind, arg) = slot.split_once(':').unwrap_or((slot, ""));
        text.push_str(&fill(dice, kind, arg));
        rest = after;
    }
    text.push_str(rest);
    Value::new(Class::ProviderToken, sub, text, name, proof == '+')
}

fn fill(dice: &mut Dice, kind: &str, arg: &str) -> String {
    let count = arg.parse().unwrap_or(0);
    match kind {
        "h" => dice.draw(HEX, count),
        "H" => dice.draw("0123456789ABCDEF", count),
        "a" => dice.draw(ALNUM, count),
        "A" => dice.draw("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", count),
        "l" => dice.draw(LOWER_ALNUM, count),
        "z" => dice.draw(LOWER, count),
        "u" => dice.draw(UPPER_ALNUM, count),
        "w" => url64(dice, count),
        "s" => dice.draw(STD64, count),
        "b" => dice.draw(BASE32, count),
        "d" => dice.draw("123456789", 1) + &dice.draw(DIGITS, count.saturating_sub(1)),
        "uuid" => dice.uuid(),
        "crc" => with_crc(arg, &dice.alnum(30)),
        "fine" => {
            let body = format!("11{}_{}", dice.draw(UPPER_ALNUM, 7) + &dice.alnum(13), dice.alnum(53));
            format!("github_pat_{body}{}", base62(crc32fast::hash(body.as_bytes()), 6))
        }
        "jfrog" => base64(
            format!(
                "reftkn:01:{:010}:{}",
                dice.between(1_700_000_000, 1_900_000_000),
                dice.alnum(28)
            )
            .as_bytes(),
        )
        .trim_end_matches('=')
        .to_owned(),
        "bedrock" => {
            let name = format!("BedrockAPIKey-{}-at-{}:", dice.draw(LOWER_ALNUM, 4), dice.digits(12));
            base64(format!("{name}{}", dice.draw(STD64, 44)).as_bytes())
        }
        "azdo" => format!(
            "{}JQQJ99B{}AAAAAAAAAAAASAZDO{}",
            dice.alnum(52),
            dice.draw("ABCDEFGHJK", 1),
            dice.alnum(4)
        ),
        "discord" => {
            let id = format!("1{}", dice.digits(17));
            format!("{}.G{}.{}", base64_url(id.as_bytes()), url64(dice, 5), url64(dice, 38))
        }
        "onepassword" => {
            let body = format!(
                "{{\"signInAddress\":\"my.1password.com\",\"userAuth\":{{\"method\":\"SRPg-4096\"}},\"secretKey\":\"{}\"}}",
                dice.hex(96)
            );
            format!("ops_{}", base64_url(body.as_bytes()))
        }
        "grafana" => {
            let body = format!("glsa_{}", dice.alnum(32));
            let sum = super::codec::hex(&crc32fast::hash(body.as_bytes()).to_le_bytes());
            format!("{body}_{sum}")
        }
        "grafanacloud" => {
            let body = format!(
                "{{\"o\":\"{}\",\"n\":\"{}\",\"k\":\"{}\",\"m\":{{\"r\":\"eu\"}}}}",
                dice.digits(6),
                dice.draw(LOWER, 9),
                dice.alnum(24)
            );
            format!("glc_{}", base64(body.as_bytes()))
        }
        "sentry" => {
            let at = dice.between(1_700_000_000, 1_800_000_000);
            let body = format!(
                "{{\"iat\":{at}.{},\"url\":\"https://sentry.io\",\"region_url\":\"https://us.sentry.io\",\"org\":\"{}\"}}",
                dice.digits(6),
                dice.draw(LOWER, 8)
            );
            format!("sntrys_{}_{}", base64(body.as_bytes()), dice.draw(STD64, 43))
        }
        "atlassian" => {
            let body = format!("ATATT3xFfGF0{}", url64(dice, 171));
            format!("{body}={:08X}", crc32fast::hash(body.as_bytes()))
        }
        "mapbox" => {
            let body = format!(
                "{{\"u\":\"{}\",\"a\":\"c{}\"}}",
                dice.draw(LOWER, 8),
                dice.draw(LOWER_ALNUM, 24)
            );
            format!("sk.{}.{}", base64_url(body.as_bytes()), url64(dice, 22))
        }
        "age" => bech32("age-secret-key-", &five_bits(&dice.bytes(32)), 1).to_uppercase(),
        "jetbrains" => format!(
            "perm:{}.{}.{}",
            base64(&dice.bytes(9)),
            base64(&dice.bytes(6)),
            dice.alnum(30)
        ),
        "intercom" => base64(format!("tok:{}_{}_{}:1:0", dice.hex(8), dice.hex(4), dice.hex(20)).as_bytes()),
        _ => String::new(),
    }
}

/// Base64url that neither starts nor ends with a dash or an underscore: where a token ends would be open.
fn url64(dice: &mut Dice, count: usize) -> String {
    if count < 2 {
        return dice.alnum(count);
    }
    let (first, last) = (dice.alnum(1), dice.alnum(1));
    format!("{first}{}{last}", dice.draw(URL64, count - 2))
}

/// A token whose last six signs are the CRC-32 of what stands between them and the prefix, in base 62.
fn with_crc(prefix: &str, body: &str) -> String {
    format!("{prefix}{body}{}", base62(crc32fast::hash(body.as_bytes()), 6))
}

/// Whether the checksum of a token holds, where its issuer has one that this file knows.
#[cfg(test)]
pub(super) fn holds(sub: &str, text: &str) -> bool {
    let crc = |body: &str, tail: &str| base62(crc32fast::hash(body.as_bytes()), 6) == tail;
    match sub {
        "github.pat" | "github.oauth" | "github.app" | "github.refresh" | "npm" => {
            text.len() == 40 && crc(&text[4..34], &text[34..])
        }
        "github.fine" => text.len() == 93 && crc(&text[11..87], &text[87..]),
        "age" => super::codec::bech32_holds(&text.to_lowercase(), 1),
        _ => text.len() >= 16 && !text.contains(char::is_whitespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn issuers_are_many_and_their_checksums_hold() {
        let mut dice = Dice::new(4, 1);
        let mut seen = BTreeSet::new();
        for at in (0..ISSUERS.len()).cycle().take(2000) {
            let value = issued(&mut dice, at);
            assert!(holds(&value.sub, &value.text), "{} {}", value.sub, value.text);
            assert!(!value.text.contains(['{', '}']), "{}", value.text);
            seen.insert(value.sub.split('.').next().unwrap_or_default().to_owned());
        }
        assert!(seen.len() >= 60, "{}", seen.len());
    }

    #[test]
    fn a_published_checksum() {
        // The example of the format's announcement: the checksum of an npm-like body is padded with zeros.
        assert_eq!(base62(0, 6), "000000");
        assert_eq!(base62(u32::MAX, 6), "4gfFC3");
    }
}
