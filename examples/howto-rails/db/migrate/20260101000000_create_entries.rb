class CreateEntries < ActiveRecord::Migration[6.1]
  def change
    create_table :entries do |table|
      table.string :text, null: false
    end
  end
end
