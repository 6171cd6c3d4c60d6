// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class VirtualRegion
{
    [SupportedOSPlatform("windows")]
    private static byte* ReserveWindows(nuint bytes, PageKind pages, nuint alignment) => throw NotHere("soon");

    [SupportedOSPlatform("windows")]
    private static void CommitWindows(byte* start, nuint bytes) => throw NotHere("soon");

    [SupportedOSPlatform("windows")]
    private static void FreeWindows(byte* start) => throw NotHere("soon");
}
