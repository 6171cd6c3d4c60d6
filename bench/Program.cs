// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

internal static class Program
{
    private static int Main() => 0;
}
