//! Work for a build that counts what it does (`cargo xtask ship`): some of everything that the table measures, so that the
//! compiler learns which ways are taken. It measures nothing.

use crate::load::{self, Era, Question};
use crate::proxies::{self, Behind, VARIANTS};
use crate::{Result, stub};
use std::path::Path;
use std::time::Duration;

/// For each question over each number of connections.
const DURATION: Duration = Duration::from_millis(400);

/// `train DIRECTORY`: every era and way to a server, with all stages and with none. What the gateways leave in the directory
/// stays there: ext4 without a journal is slow to make files for minutes after many were removed, and what comes next may measure.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let [directory] = arguments else {
        return Err("usage: portcullis-benches train DIRECTORY".into());
    };
    let directory = Path::new(directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for era in [Era::Modern, Era::Legacy] {
        for over_stdio in [false, true] {
            let stub = match over_stdio {
                true => None,
                false => Some(proxies::start_stub(300)?),
            };
            let behind = Behind {
                era,
                stub: stub.as_ref(),
            };
            for variant in VARIANTS.iter().filter(|variant| variant.record == variant.key) {
                // Ended in order when it is dropped: that is when it writes what it counted.
                let proxy = proxies::portcullis(&behind, directory, variant, &[])?;
                for tool in stub::MEASURED {
                    ask(&runtime, &proxy.peer.call(tool))?;
                }
                // The load asks for no lists in the other era.
                if era == Era::Modern {
                    ask(&runtime, &proxy.peer.question("tools/list", None, ""))?;
                }
            }
        }
    }
    Ok(())
}

fn ask(runtime: &tokio::runtime::Runtime, question: &Question) -> Result<()> {
    for connections in [1, 16, 64] {
        let clients = runtime.block_on(load::open(question, connections))?;
        let (clients, _) = runtime.block_on(load::run(clients, DURATION))?;
        runtime.block_on(load::close(clients))?;
    }
    Ok(())
}
