// SPDX-License-Identifier: GPL-2.0-only
using System.Text;

namespace MemcgNative.Bench;

/// <summary>A stderr that may be closed or full: what cannot be written is lost, because there is nowhere else to say so.</summary>
internal sealed class LossyWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Try(() => inner.Write(value));

    public override void Write(string? value) => Try(() => inner.Write(value));

    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    public override void Flush() => Try(inner.Flush);

    protected override void Dispose(bool disposing)
    {
        if (disposing) Try(inner.Dispose);
        base.Dispose(disposing);
    }

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // the latter for a closed descriptor (EBADF)
    }
}
