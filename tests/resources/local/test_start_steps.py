"""What a supervisor starts is read from its log as it comes."""

from resources.local.start_steps import StepReader, announce


def test_steps_are_read_once_each_from_a_log_that_also_has_other_lines(tmp_path, capsys):
    announce("Starting the chain.")
    announce('Starting "node-1".')
    first, second = capsys.readouterr().out.splitlines(keepends=True)
    log = tmp_path / "supervisor.log"
    log.write_text(first)
    reader = StepReader(log, len(first))
    with log.open("a") as file:
        file.write("2026-01-01 a log line\n" + first + second[:12])
        file.flush()
        assert reader.new() == ["Starting the chain."]
        assert reader.new() == []
        file.write(second[12:] + '{"step": broken}\n')
        file.flush()
        assert reader.new() == ['Starting "node-1".']
