//! The upstream: reads a request, answers what was baked.

use std::io::Result;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::texts::{Answers, Mode};
use crate::wire::receive;

/// The time between two content chunks of a paced stream.
const PACE: Duration = Duration::from_millis(5);
/// The time between two content chunks of a held stream.
const HELD_PACE: Duration = Duration::from_secs(1);

/// A running mock upstream.
pub(crate) struct Mock {
    /// What it answers.
    pub(crate) answers: Answers,
    mode: Mutex<Mode>,
}

impl Mock {
    /// Serves from now on, in tasks of its own; returns its port too.
    pub(crate) fn start() -> Result<(Arc<Self>, u16)> {
        let socket = TcpSocket::new_v4()?;
        // A large request fits at once, so that a proxy's cost does not hang on when this side gets to read.
        socket.set_recv_buffer_size(1 << 20)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(4096)?;
        let port = listener.local_addr()?.port();
        let mock = Arc::new(Self { answers: Answers::bake(), mode: Mutex::new(Mode::Chat) });
        let server = Arc::clone(&mock);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mock = Arc::clone(&server);
                // A proxy that leaves ends its connection's task; the load side judges whether it should have.
                tokio::spawn(async move { mock.serve(stream).await.ok() });
            }
        });
        Ok((mock, port))
    }

    /// From now on answers in this way.
    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 64 * 1024];
        while receive(&mut stream, &mut buffer, |_| ()).await?.is_some() {
            let mode = *self.mode.lock().unwrap();
            match mode {
                Mode::Chat => stream.write_all(&self.answers.chat).await?,
                Mode::Burst => stream.write_all(&self.answers.burst).await?,
                Mode::Paced => {
                    self.pace(&mut stream, PACE, 1).await?;
                    stream.write_all(&self.answers.closing).await?;
                }
                Mode::Held => self.pace(&mut stream, HELD_PACE, usize::MAX).await?,
            }
        }
        Ok(())
    }

    async fn pace(&self, stream: &mut TcpStream, pace: Duration, rounds: usize) -> Result<()> {
        stream.write_all(&self.answers.opening).await?;
        let mut ticks = interval_at(Instant::now() + pace, pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..rounds {
            for chunk in &self.answers.content {
                ticks.tick().await;
                stream.write_all(chunk).await?;
            }
        }
        Ok(())
    }
}
