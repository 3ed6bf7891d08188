//! A message on its way between two hops. Within one era only what belongs to the hop changes (id, progress token, an exposed
//! name); between eras the per-request and the per-session form of the same facts are exchanged (PROTOCOL 2.3, 2.4). Pure.

use bytes::Bytes;
use portcullis_wire::error::{self, INVALID_PARAMS, RESOURCE_NOT_FOUND};
use portcullis_wire::{
    Edits, Era, Id, JsonError, Kind, Limits, Message, Method, Notification, Outcome, Raw, Request, Response, Revision,
    Rope, RpcError, json, meta,
};

/// What a request needs on its next hop.
#[derive(Debug)]
pub(super) struct Hop<'a> {
    /// The era of the server.
    pub(super) era: Era,
    /// The id towards the server; also its progress token.
    pub(super) id: u64,
    /// The server's own name, where the client's differs.
    pub(super) name: Option<&'a str>,
    /// What a legacy session knows and a modern server wants in every request.
    pub(super) session: SessionFacts<'a>,
}

/// The facts of a legacy session that a modern request carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionFacts<'a> {
    /// `clientInfo`.
    pub(super) info: Option<&'a Raw>,
    /// What `logging/setLevel` set.
    pub(super) log_level: Option<&'a str>,
    /// `clientCapabilities`: of what the client declared only what can be kept, a JSON object.
    pub(super) capabilities: &'a [u8],
}

/// The request as the server gets it.
pub(super) fn request(request: &Request, client: Era, hop: &Hop<'_>) -> Result<Rope, JsonError> {
    let mut edits = request.with_id(&Id::number(hop.id));
    let Some(params_at) = request.params_at() else {
        if client == Era::Legacy && hop.era == Era::Modern {
            return Ok(with_params(request, hop));
        }
        return Ok(edits.finish());
    };
    if let Some(name) = hop.name {
        edits.set(params_at.start, "name", &json::string(name))?;
    }
    let meta = meta_of(request, params_at.start)?;
    match (client, hop.era) {
        (Era::Legacy, Era::Modern) => match meta {
            Some((at, meta)) => {
                for (key, value) in modern_keys(hop) {
                    edits.set(at, key, &value)?;
                }
                token(&mut edits, at, &meta, hop.id)?;
            }
            None => edits.set(params_at.start, "_meta", &modern_meta(hop))?,
        },
        (Era::Modern, Era::Legacy) => {
            if let Some((at, meta)) = meta {
                edits.remove(
                    at,
                    &[
                        meta::PROTOCOL_VERSION,
                        meta::CLIENT_CAPABILITIES,
                        meta::CLIENT_INFO,
                        meta::LOG_LEVEL,
                    ],
                )?;
                token(&mut edits, at, &meta, hop.id)?;
            }
        }
        _ => {
            if let Some((at, meta)) = meta {
                token(&mut edits, at, &meta, hop.id)?;
            }
        }
    }
    Ok(edits.finish())
}

/// `_meta` of a request whose params begin at `params_at`, and where it begins; `None` when it is absent or no object.
fn meta_of(request: &Request, params_at: usize) -> Result<Option<(usize, Raw)>, JsonError> {
    let Some(params) = request.params() else {
        return Ok(None);
    };
    params.check_members()?;
    let place = params.place("_meta");
    let meta = place.and_then(|place| Some((params_at + place.start, params.get("_meta")?)));
    Ok(meta.filter(|(_, meta)| meta.kind() == Kind::Object))
}

/// A progress token becomes `id`: the client's own means nothing to the server, and two clients may have the same.
fn token(edits: &mut Edits, meta_at: usize, meta: &Raw, id: u64) -> Result<(), JsonError> {
    meta.check_members()?;
    if let Some(token) = meta.place("progressToken") {
        edits.replace(meta_at + token.start..meta_at + token.end, id.to_string());
    }
    Ok(())
}

fn with_params(request: &Request, hop: &Hop<'_>) -> Rope {
    let mut out = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"#, hop.id).into_bytes();
    json::write_string(&mut out, request.method().as_str());
    out.extend_from_slice(br#","params":{"_meta":"#);
    out.extend_from_slice(&modern_meta(hop));
    out.extend_from_slice(b"}}");
    Rope::one(out)
}

fn modern_keys(hop: &Hop<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let mut keys = vec![
        (meta::PROTOCOL_VERSION, json::string(Revision::NEWEST.as_str())),
        (meta::CLIENT_CAPABILITIES, hop.session.capabilities.to_vec()),
    ];
    if let Some(info) = hop.session.info {
        keys.push((meta::CLIENT_INFO, info.as_bytes().to_vec()));
    }
    if let Some(level) = hop.session.log_level {
        keys.push((meta::LOG_LEVEL, json::string(level)));
    }
    keys
}

fn modern_meta(hop: &Hop<'_>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (index, (key, value)) in modern_keys(hop).into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, key);
        out.push(b':');
        out.extend_from_slice(&value);
    }
    out.push(b'}');
    out
}

/// The response in the client's era. Its id stays ours until the reply is built.
pub(super) fn response(
    response: Box<Response>,
    server: Era,
    client: Revision,
    method: &Method,
) -> Result<Box<Response>, Untranslatable> {
    if server == client.era() {
        return Ok(response);
    }
    let at = response.outcome_at().start;
    let mut edits = Edits::of(response.whole().clone());
    match (response.outcome(), client.era()) {
        (Outcome::Result(result), Era::Legacy) => {
            match result.get("resultType").as_ref().and_then(Raw::as_string) {
                None => {}
                Some(kind) if kind == "complete" => {}
                Some(kind) => return Err(Untranslatable(format!("a result of type `{kind}`"))),
            }
            edits.remove(at, &["resultType", "ttlMs", "cacheScope"])?;
        }
        (Outcome::Result(result), Era::Modern) => {
            if result.kind() != Kind::Object {
                return Err(Untranslatable("a result that is no object".to_owned()));
            }
            if method.is_cacheable() {
                edits.set(at, "ttlMs", b"0")?;
                edits.set(at, "cacheScope", br#""private""#)?;
            }
            edits.set(at, "resultType", br#""complete""#)?;
        }
        (Outcome::Error(error), era) => match RpcError::code_of(error) {
            Some(RESOURCE_NOT_FOUND) if era == Era::Modern => {
                edits.set(at, "code", INVALID_PARAMS.to_string().as_bytes())?;
            }
            Some(code) if !error::may_carry(code, client) => {
                // What only the other era knows becomes an internal error with the same words.
                edits.set(at, "code", error::INTERNAL.to_string().as_bytes())?;
            }
            _ => return Ok(response),
        },
    }
    let text = edits.finish().into_bytes();
    match Message::parse(text, &Limits::default()) {
        Ok(Message::Response(translated)) => Ok(Box::new(translated)),
        _ => Err(Untranslatable("a response that cannot be rewritten".to_owned())),
    }
}

/// The other era has no form for it.
#[derive(Debug)]
pub(super) struct Untranslatable(pub(super) String);

impl From<JsonError> for Untranslatable {
    fn from(error: JsonError) -> Self {
        Self(error.to_string())
    }
}

/// Progress under the client's own token; `None` when the client asked for none.
pub(super) fn progress(notification: &Notification, token: Option<&Raw>) -> Option<Notification> {
    let token = token?;
    let params_at = notification.params_at()?;
    let value = value_at(notification.whole(), params_at.start, "progressToken").ok()??;
    let mut edits = Edits::of(notification.whole().clone());
    edits.replace(value, token.bytes());
    reread(edits)
}

/// A subscription's notification under the client's own subscription id.
pub(super) fn subscribed(notification: &Notification, subscription: &Id) -> Option<Notification> {
    let mut edits = Edits::of(notification.whole().clone());
    let id = subscription.as_json();
    match notification.params_at() {
        None => {
            return Notification::own(notification.method(), Some(&subscription_meta(id))).ok();
        }
        Some(params_at) => match member_at(notification.whole(), params_at.start, "_meta").ok()? {
            Some(at) => edits.set(at, meta::SUBSCRIPTION_ID, id).ok()?,
            None => edits.set(params_at.start, "_meta", &inner_subscription_meta(id)).ok()?,
        },
    }
    reread(edits)
}

/// `{"_meta":{"io.modelcontextprotocol/subscriptionId":ID}}`.
pub(super) fn subscription_meta(id: &[u8]) -> Vec<u8> {
    let mut out = br#"{"_meta":"#.to_vec();
    out.extend_from_slice(&inner_subscription_meta(id));
    out.push(b'}');
    out
}

pub(super) fn inner_subscription_meta(id: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    json::write_string(&mut out, meta::SUBSCRIPTION_ID);
    out.push(b':');
    out.extend_from_slice(id);
    out.push(b'}');
    out
}

fn reread(edits: Edits) -> Option<Notification> {
    let text: Bytes = edits.finish().into_bytes();
    match Message::parse(text, &Limits::default()) {
        Ok(Message::Notification(notification)) => Some(notification),
        _ => None,
    }
}

/// Where the object that is member `key` of the object at `object` begins; `None` when it is absent or no object.
fn member_at(text: &Bytes, object: usize, key: &str) -> Result<Option<usize>, JsonError> {
    let value = value_at(text, object, key)?;
    Ok(value
        .filter(|range| text.get(range.start) == Some(&b'{'))
        .map(|range| range.start))
}

fn value_at(text: &Bytes, object: usize, key: &str) -> Result<Option<std::ops::Range<usize>>, JsonError> {
    json::member(text, object, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Message {
        Message::parse(Bytes::from_static(text.as_bytes()), &Limits::default()).unwrap()
    }

    fn a_request(text: &'static str) -> Request {
        match parse(text) {
            Message::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn a_response(text: &'static str) -> Box<Response> {
        match parse(text) {
            Message::Response(response) => Box::new(response),
            other => panic!("{other:?}"),
        }
    }

    const NOTHING: SessionFacts<'_> = SessionFacts {
        info: None,
        log_level: None,
        capabilities: br#"{"extensions":{}}"#,
    };

    fn hop(era: Era) -> Hop<'static> {
        Hop {
            era,
            id: 7,
            name: None,
            session: NOTHING,
        }
    }

    fn text(rope: Rope) -> String {
        String::from_utf8(rope.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn within_an_era_only_id_and_token_change() {
        let received = a_request(
            r#"{ "jsonrpc":"2.0", "id":"x", "method":"tools/call", "params":{"name":"t","_meta":{"progressToken":"p", "v/k": 1.50},"arguments":{"n":1e2}}, "vendor": [1] }"#,
        );
        assert_eq!(
            text(request(&received, Era::Legacy, &hop(Era::Legacy)).unwrap()),
            r#"{ "jsonrpc":"2.0", "id":7, "method":"tools/call", "params":{"name":"t","_meta":{"progressToken":7, "v/k": 1.50},"arguments":{"n":1e2}}, "vendor": [1] }"#
        );
    }

    #[test]
    fn a_modern_request_loses_its_reserved_keys_towards_a_legacy_server() {
        let received = a_request(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00-1","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        );
        assert_eq!(
            text(request(&received, Era::Modern, &hop(Era::Legacy)).unwrap()),
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","_meta":{"traceparent":"00-1"}}}"#
        );
    }

    #[test]
    fn a_legacy_request_gains_them_towards_a_modern_server() {
        for received in [
            r#"{"jsonrpc":"2.0","id":1,"method":"x/y"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"a":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"_meta":{"progressToken":3}}}"#,
        ] {
            let sent = text(request(&a_request(received), Era::Legacy, &hop(Era::Modern)).unwrap());
            let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
            let meta = &sent["params"]["_meta"];
            assert_eq!(meta[meta::PROTOCOL_VERSION], "2026-07-28");
            assert_eq!(meta[meta::CLIENT_CAPABILITIES], serde_json::json!({"extensions": {}}));
        }
    }

    #[test]
    fn results_change_their_form_between_eras() {
        let legacy = a_response(r#"{"jsonrpc":"2.0","id":7,"result":{"contents":[]}}"#);
        let modern = response(legacy, Era::Legacy, Revision::NEWEST, &Method::ResourcesRead).unwrap();
        let result: serde_json::Value = serde_json::from_slice(modern.result().unwrap().as_bytes()).unwrap();
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["ttlMs"], 0);
        let back = response(modern, Era::Modern, Revision::NEWEST_LEGACY, &Method::ResourcesRead).unwrap();
        assert_eq!(back.result().unwrap().as_str(), r#"{"contents":[]}"#);
    }

    #[test]
    fn what_has_no_form_is_refused() {
        let asks =
            a_response(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"s"}}"#);
        assert!(response(asks, Era::Modern, Revision::NEWEST_LEGACY, &Method::ToolsCall).is_err());
    }

    #[test]
    fn error_codes_are_those_of_the_clients_revision() {
        let code = |text, server, client| {
            let error = response(a_response(text), server, client, &Method::ResourcesRead).unwrap();
            match error.outcome() {
                Outcome::Error(error) => RpcError::code_of(error).unwrap(),
                Outcome::Result(_) => panic!("an error was expected"),
            }
        };
        let not_found = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32002,"message":"no"}}"#;
        assert_eq!(code(not_found, Era::Legacy, Revision::NEWEST), -32602);
        assert_eq!(code(not_found, Era::Legacy, Revision::NEWEST_LEGACY), -32002);
        let lacks = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32021,"message":"no"}}"#;
        assert_eq!(code(lacks, Era::Modern, Revision::NEWEST_LEGACY), -32603);
    }

    #[test]
    fn progress_carries_the_clients_token() {
        let Message::Notification(heard) = parse(
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":0.50}}"#,
        ) else {
            panic!()
        };
        let token = Raw::own(r#""p""#).unwrap();
        let passed = progress(&heard, Some(&token)).unwrap();
        assert_eq!(
            passed.params().unwrap().as_str(),
            r#"{"progressToken":"p","progress":0.50}"#
        );
        assert!(progress(&heard, None).is_none());
    }
}
