//! The message signatures of a request that is otherwise complete.

use http::{HeaderMap, Method};

use super::RenderError;
use super::plan::{Plan, Slot, sendable};
use super::value::{Escape, Facts};
use crate::profile::MessageSignatureKnobs;
use crate::signing::{
    CONTENT_DIGEST, Covered, DigestAlgorithm, Encoding, Parameters, SIGNATURE, SIGNATURE_INPUT, free_label,
    signature_base,
};

/// Adds the digest of the body, where one is wanted, and the signatures of all keys that sign now.
pub(super) fn add(
    plan: &Plan,
    facts: &Facts,
    method: &Method,
    body: &[u8],
    headers: &mut HeaderMap,
) -> Result<(), RenderError> {
    let all = plan.profile.message_signatures.iter().enumerate();
    let wanted: Vec<(usize, &MessageSignatureKnobs)> = all.filter(|(_, knobs)| facts.meets(&knobs.when)).collect();
    add_digest(&wanted, body, headers)?;
    let (mut used, mut inputs, mut signatures) = (Vec::new(), String::new(), String::new());
    for (index, knobs) in wanted {
        for signer in plan.live_signers(Slot::Message(index), facts.now) {
            let keyid = knobs.keyid.as_ref().map(|template| {
                let mut text = String::new();
                // Its fields are people's texts, and a structured field is ASCII.
                facts.expand(template, "", Escape::Percent, &mut text);
                text
            });
            let created = facts.now.seconds();
            let lifetime = knobs.expires.and_then(|lifetime| i64::try_from(lifetime.as_secs()).ok());
            let parameters = Parameters {
                created,
                expires: lifetime.map(|lifetime| created.saturating_add(lifetime)),
                keyid: keyid.as_deref(),
                tag: knobs.tag.as_deref(),
            };
            let request = Covered { method, url: facts.url, headers, body_length: body.len() };
            let (input, base) = signature_base(&request, &knobs.components, &parameters);
            let signature = signer.key.sign(std::iter::once(base.as_slice()));
            let label = free_label(&knobs.label, &used);
            for (list, start) in [(&mut inputs, "="), (&mut signatures, "=:")] {
                if !list.is_empty() {
                    list.push_str(", ");
                }
                list.push_str(&label);
                list.push_str(start);
            }
            inputs.push_str(&input);
            Encoding::Base64.append(signature.as_bytes(), &mut signatures);
            signatures.push(':');
            used.push(label);
        }
    }
    if !used.is_empty() {
        headers.insert(&SIGNATURE_INPUT, sendable(&SIGNATURE_INPUT, inputs)?);
        headers.insert(&SIGNATURE, sendable(&SIGNATURE, signatures)?);
    }
    Ok(())
}

fn add_digest(
    wanted: &[(usize, &MessageSignatureKnobs)],
    body: &[u8],
    headers: &mut HeaderMap,
) -> Result<(), RenderError> {
    let mut algorithms: Vec<DigestAlgorithm> = Vec::new();
    for algorithm in wanted.iter().filter_map(|(_, knobs)| knobs.content_digest.algorithm()) {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    let mut text = String::new();
    for algorithm in algorithms {
        if !text.is_empty() {
            text.push_str(", ");
        }
        algorithm.append(body, &mut text);
    }
    if !text.is_empty() {
        headers.insert(&CONTENT_DIGEST, sendable(&CONTENT_DIGEST, text)?);
    }
    Ok(())
}
