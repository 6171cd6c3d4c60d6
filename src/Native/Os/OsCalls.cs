// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>
/// The seam: every call to the operating system that this program makes goes through here, is counted, and can be made to fail
/// (<see cref="OsFault"/>). Linux calls return what the kernel returns: zero or more, or minus errno.
/// </summary>
internal static unsafe partial class OsCalls
{
    private static nint Result(nint r) => r >= 0 ? r : -Marshal.GetLastPInvokeError();

    private static int Result(int r) => r >= 0 ? r : -Marshal.GetLastPInvokeError();
}
