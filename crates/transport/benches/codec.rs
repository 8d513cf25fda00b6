//! What the codec costs without a kernel: frames read from a stream in memory, and written into nowhere.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::{
    hint::black_box,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use gateway_transport::{Outbound, Socket, SocketLimits, Text};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many frames come in one burst.
const BURST: usize = 16;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    for size in [128, 4 << 10] {
        read(&mut criterion, size);
        write(&mut criterion, size);
    }
    criterion.final_summary();
}

fn read(criterion: &mut Criterion, size: usize) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(BURST as u64));
    let frames = frame(&vec![b'x'; size]).repeat(BURST);
    let mut socket = Socket::server(Stream { frames, at: 0 }, Bytes::new(), SocketLimits::default());
    group.bench_function(format!("read {BURST} of {size} bytes"), |bencher| {
        bencher.iter(|| {
            for _ in 0..BURST {
                let Poll::Ready(Ok(message)) = poll(socket.next()) else { unreachable!("the stream never ends") };
                black_box(message);
            }
        });
    });
    group.finish();
}

fn write(criterion: &mut Criterion, size: usize) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(BURST as u64));
    let text = Text::from("x".repeat(size));
    let mut socket = Socket::server(Stream { frames: Vec::new(), at: 0 }, Bytes::new(), SocketLimits::default());
    group.bench_function(format!("write {BURST} of {size} bytes"), |bencher| {
        bencher.iter(|| {
            for _ in 0..BURST {
                socket.queue(Outbound::Text(text.clone())).unwrap();
            }
            assert!(matches!(poll(socket.flush()), Poll::Ready(Ok(()))));
        });
    });
    group.finish();
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The same frames for ever, and room for everything.
struct Stream {
    frames: Vec<u8>,
    at: usize,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = buffer.remaining().min(self.frames.len() - self.at);
        buffer.put_slice(&self.frames[self.at..self.at + length]);
        self.at = (self.at + length) % self.frames.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
