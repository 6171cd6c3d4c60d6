// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>Sizes of what the hardware shares between CPUs.</summary>
public static class CacheLine
{
    /// <summary>Bytes of one line.</summary>
    public const int Size = 64;

    /// <summary>Bytes to keep between hot words of different CPUs: adjacent-line prefetch pairs lines 2N and 2N+1 (page-accounting.md 4.2).</summary>
    public const int Apart = 128;

    /// <summary>Rounds bytes up to whole lines.</summary>
    public static int RoundUp(int bytes) => (bytes + Size - 1) & -Size;
}
