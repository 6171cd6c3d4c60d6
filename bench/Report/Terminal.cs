// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace MemcgNative.Bench;

/// <summary>
/// The only maker of consoles: Spectre.Console 0.49 by itself writes escapes into files and wraps them at 80 columns. Escapes only for a
/// terminal that wants them, a width of its own for each stream, plain ASCII where the encoding asks for it.
/// </summary>
internal sealed class Terminal
{
    private Terminal(IAnsiConsole console, bool isInteractive, bool unicode) => (Console, IsInteractive, Unicode) = (console, isInteractive, unicode);

    public IAnsiConsole Console { get; }

    /// <summary>A person looks on: a line may be rewritten.</summary>
    public bool IsInteractive { get; }

    public bool Unicode { get; }

    /// <summary>A console on one stream.</summary>
    /// <param name="writer">The stream.</param>
    /// <param name="isTerminal">False when it is redirected.</param>
    /// <param name="color">auto, always or never.</param>
    /// <param name="environment">NO_COLOR, CLICOLOR_FORCE, TERM, COLUMNS are read.</param>
    public static Terminal Make(TextWriter writer, bool isTerminal, string color, CliEnvironment environment)
    {
        bool dumb = environment.Variable("TERM") is null or "" or "dumb";
        bool escapes = color switch
        {
            "always" => true,
            "never" => false,
            _ when environment.Variable("NO_COLOR") is { Length: > 0 } => false,
            _ when environment.Variable("CLICOLOR_FORCE") is { Length: > 0 } and not "0" => true,
            _ => isTerminal && !dumb,
        };
        int width = isTerminal && int.TryParse(environment.Variable("COLUMNS"), NumberStyles.None, CultureInfo.InvariantCulture, out int columns) && columns > 0 ? columns
            : isTerminal ? environment.Columns : 400;
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = escapes ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = escapes ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new PlainOutput(writer, Math.Max(40, width)),
        });
        console.Profile.Width = Math.Max(40, width);
        console.Profile.Capabilities.Unicode = environment.Unicode;
        console.Profile.Capabilities.Ansi = escapes;
        return new Terminal(console, isTerminal && !dumb, environment.Unicode);
    }

    /// <summary>A table, on a terminal that is too narrow for it as wide as it needs: Spectre would cut what must not wrap, or print an ellipsis for all of it.</summary>
    public void Write(Table table)
    {
        var options = RenderOptions.Create(Console);
        int least = 0, width = Console.Profile.Width;
        for (int i = 0; i < table.Columns.Count; i++)
        {
            TableColumn column = table.Columns[i];
            Measurement[] cells = [.. table.Rows.Select(r => r[i]).Prepend(column.Header).Select(cell => cell.Measure(options, 10_000))];
            least += cells.Max(c => column.NoWrap ? c.Max : c.Min) + 2; // its padding
        }
        Console.Profile.Width = Math.Max(width, least + 2);
        Console.Write(table);
        Console.Profile.Width = width;
    }

    private sealed class PlainOutput(TextWriter writer, int width) : IAnsiConsoleOutput
    {
        public TextWriter Writer => writer;
        public bool IsTerminal => false;
        public int Width => width;
        public int Height => 50;
        public void SetEncoding(System.Text.Encoding encoding) { }
    }
}
