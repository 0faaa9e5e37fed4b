"""Voices whose first and last samples are known: pulses of a throat and a little breath, in syllables."""

import numpy as np

from rtcprobe.audio.pcm import Pcm


def a_voice(rng: np.random.Generator, *, lasts_s: float, level_dbfs: float, attack_s: float = 0.001) -> Pcm:
    """Return a voice of ``level_dbfs`` RMS that is there from its first sample on, over ``attack_s``, to its last."""
    count = round(lasts_s * 48_000)
    times_s = np.arange(count) / 48_000
    pitch_hz = rng.uniform(110.0, 250.0)
    turns = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.05 * np.sin(6 * np.pi * times_s))) / 48_000
    sound = 0.3 * rng.standard_normal(count)
    once = overtone = np.exp(1j * turns)
    for harmonic in range(1, int(7000 / pitch_hz)):
        loudness = 1 / (1 + (harmonic * pitch_hz / 600) ** 1.2)
        phase = rng.uniform(0, 2 * np.pi)
        sound += loudness * (np.cos(phase) * overtone.real - np.sin(phase) * overtone.imag)
        overtone = overtone * once  # a product where a cosine of every sample would take five times as long
    begins = (np.arange(count) + 1) / (attack_s * 48_000)
    ends = (count - np.arange(count)) / (0.02 * 48_000)
    sound *= np.minimum(1, np.minimum(begins, ends)) * (0.65 + 0.35 * np.cos(2 * np.pi * 4 * times_s))
    sound *= 10 ** (level_dbfs / 20) / np.sqrt(np.mean(sound**2))
    return sound.astype(np.float32)


def a_room(rng: np.random.Generator, *, lasts_s: float, level_dbfs: float = -80.0) -> Pcm:
    """Return white noise of ``level_dbfs``: what a microphone hears of a room."""
    noise = rng.standard_normal(round(lasts_s * 48_000)) * 10 ** (level_dbfs / 20)
    return noise.astype(np.float32)
