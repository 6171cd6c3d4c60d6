// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Unit;

internal static class Offences
{
    /// <summary>Fails with every offence on a line of its own; Assert.Empty would shorten them.</summary>
    public static void None(IEnumerable<string> offences)
    {
        string[] all = [.. offences];
        if (all.Length > 0) Assert.Fail(string.Join('\n', all));
    }
}
